"""What an instance does for the others: commands that it executes are handed to it, many on one stream."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

from comby.cluster.v1 import instance_service_pb2
from comby.server.application.errors import Unavailable
from comby.server.application.event_codec import context_of
from comby.server.application.facade import Facade
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.identity import Version
from comby.server.rpc.answers import Answers
from comby.server.rpc.call import Call
from comby.server.rpc.decoding import parse
from comby.server.rpc.encoding import STAGES, receipt_message
from comby.server.rpc.failures import told
from comby.server.rpc.status import status_of
from comby.server.rpc.table import Bidirectional, Table

FORWARD = "/comby.cluster.v1.InstanceService/ForwardCommands"
_OUTCOMES_FIELD = instance_service_pb2.ForwardCommandsResponse.OUTCOMES_FIELD_NUMBER
_Outcome = instance_service_pb2.ForwardedOutcome


def build_instance_table(facade: Facade, limits: Limits) -> Table:
    """Return the table of what is served to other instances."""

    def forward(messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """ForwardCommands."""
        stream = ForwardedCommands(facade)
        return stream.outcomes.messages(stream.read(messages))

    return Table([Bidirectional(path=FORWARD, handler=forward)], limits)


class ForwardedCommands:
    """One stream of another instance: commands go in by `read`, encoded outcomes come out of `outcomes`."""

    def __init__(self, facade: Facade) -> None:
        self.outcomes = Answers(_OUTCOMES_FIELD)
        self._facade = facade

    async def read(self, messages: AsyncIterator[bytes]) -> None:
        """Dispatch all commands; what is open is bounded where the command was taken in."""
        try:
            async for raw in messages:
                for one in parse(instance_service_pb2.ForwardCommandsRequest, raw).commands:
                    self.outcomes.begin()
                    self._dispatch(one)
        finally:
            self.outcomes.end()

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
        self.outcomes.put(outcome.SerializeToString())


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
