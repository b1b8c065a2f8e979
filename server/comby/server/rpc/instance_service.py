"""What an instance does for the others: commands that it executes are handed to it, many on one stream."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from comby.cluster.v1 import instance_service_pb2
from comby.server.application.errors import Unavailable
from comby.server.application.event_codec import context_of
from comby.server.application.facade import Facade
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.identity import Version
from comby.server.rpc.call import Call
from comby.server.rpc.decoding import parse
from comby.server.rpc.encoding import STAGES, receipt_message
from comby.server.rpc.failures import told
from comby.server.rpc.status import status_of
from comby.server.rpc.table import Bidirectional, Table
from comby.server.rpc.wire import length_delimited

FORWARD = "/comby.cluster.v1.InstanceService/ForwardCommands"
OUTCOMES_PER_MESSAGE = 100
BYTES_PER_MESSAGE = 1024 * 1024
_OUTCOMES_FIELD = instance_service_pb2.ForwardCommandsResponse.OUTCOMES_FIELD_NUMBER
_Outcome = instance_service_pb2.ForwardedOutcome


def build_instance_table(facade: Facade, limits: Limits) -> Table:
    """Return the table of what is served to other instances."""

    async def forward(messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """ForwardCommands."""
        stream = ForwardedCommands(facade)
        reader = asyncio.create_task(stream.read(messages))
        try:
            while outcomes := await stream.outcomes():
                yield outcomes
            await reader
        finally:
            reader.cancel()

    return Table([Bidirectional(path=FORWARD, handler=forward)], limits)


class ForwardedCommands:
    """One stream of another instance: commands go in by `read`, outcomes come out by `outcomes`."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade
        self._in_flight = 0
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._changed = asyncio.Event()

    async def read(self, messages: AsyncIterator[bytes]) -> None:
        """Dispatch all commands; what is open is bounded where the command was taken in."""
        try:
            async for raw in messages:
                for one in parse(instance_service_pb2.ForwardCommandsRequest, raw).commands:
                    self._in_flight += 1
                    self._dispatch(one)
        finally:
            self._ended = True
            self._changed.set()

    async def outcomes(self) -> bytes:
        """Return the next message; empty when everything is answered."""
        while not self._ready:
            if self._ended and not self._in_flight:
                return b""
            self._changed.clear()
            await self._changed.wait()
        packed: list[bytes] = []
        size = 0
        while self._ready and len(packed) < OUTCOMES_PER_MESSAGE and (not packed or size < BYTES_PER_MESSAGE):
            packed.append(self._ready.popleft())
            size += len(packed[-1])
        self._in_flight -= len(packed)
        return b"".join(packed)

    def _dispatch(self, message: instance_service_pb2.ForwardedCommand) -> None:
        number = message.number
        try:
            answer = asyncio.ensure_future(self._facade.dispatch_command(_request(message)))
        except Exception as error:
            self._put(_Outcome(number=number, refused=status_of(told(error, "forwarded command failed"))))
            return
        answer.add_done_callback(lambda done: self._answered(number, done))

    def _answered(self, number: int, answer: asyncio.Future[Receipt]) -> None:
        if answer.cancelled():
            self._put(_Outcome(number=number, refused=status_of(Unavailable())))
        elif (error := answer.exception()) is not None:
            self._put(_Outcome(number=number, refused=status_of(told(error, "forwarded command failed"))))
        else:
            receipt = answer.result()
            self._put(_Outcome(number=number, receipt=receipt_message(receipt), position=receipt.position))

    def _put(self, outcome: instance_service_pb2.ForwardedOutcome) -> None:
        self._ready.append(length_delimited(_OUTCOMES_FIELD, outcome.SerializeToString()))
        self._changed.set()


def _request(message: instance_service_pb2.ForwardedCommand) -> CommandRequest:
    return CommandRequest(
        type=message.type,
        payload=message.command,
        context=context_of(message.context),
        request_id=message.request_id,
        wait=STAGES.get(message.wait, Stage.EXECUTED),
        wait_timeout=message.wait_seconds,
        expected_version=Version(message.expected_version) if message.HasField("expected_version") else None,
        retried=message.retried,
        not_before=message.not_before if message.HasField("not_before") else None,
        forwarded=True,
    )
