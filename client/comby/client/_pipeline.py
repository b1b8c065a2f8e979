"""Many commands over one stream: packed, bounded, and sent again when the stream breaks.

Sending again is safe, for every command has a request id, by which the server knows it again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Self, TypeAlias

import grpc
from google.protobuf.message import Message

from comby.client import _retry, _status
from comby.client._connection import FACADE, Connection
from comby.client._generic import dispatch_options, dispatch_request
from comby.client._metadata import RETRY, Metadata
from comby.client._outcome import CombyError, Receipt, Waiting
from comby.client._stage import Stage, Wait
from comby.facade.v1 import command_pb2

PACK = 100  # commands per message: 25 µs each, against 213 µs one by one
PACK_BYTES = 1024 * 1024  # a quarter of the largest message

_Stream: TypeAlias = "grpc.aio.StreamStreamCall[Message, command_pb2.DispatchCommandsResponse]"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """A command without an answer yet."""

    request: command_pb2.DispatchCommandRequest
    answer: "asyncio.Future[Receipt]"
    size: int


class Pipeline:
    """Dispatches commands without waiting for the answer before the next; an async context manager.

    Commands for one aggregate are executed in the order of `dispatch`. Leaving the block waits until every command
    is answered, and raises the stream's own error if it was given up; leaving it by an exception does not wait, and
    what was sent may still be executed.
    """

    def __init__(self, connection: Connection, *, in_flight: int, tenant_id: str | None, waiting: Waiting) -> None:
        if in_flight < 1:
            raise ValueError("in_flight must be at least 1")
        self._connection = connection
        self._tenant_id = tenant_id
        self._waiting = waiting
        self._free = asyncio.Semaphore(in_flight)
        self._unanswered: dict[str, _Entry] = {}  # by request id, in the order of dispatch
        self._unsent: deque[_Entry] = deque()
        self._more = asyncio.Event()
        self._answered = asyncio.Event()
        self._failed: CombyError | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="comby pipeline")
        self._running.add_done_callback(lambda _: self._answered.set())
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._running is not None
        try:
            while error is None and self._unanswered and not self._running.done():
                self._answered.clear()
                await self._answered.wait()
        finally:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
            for entry in self._unanswered.values():
                entry.answer.cancel()
        if error is None and self._failed is not None:
            raise self._failed

    async def dispatch(
        self,
        message: Message,
        *,
        wait: Wait = Stage.ACCEPTED,
        wait_timeout: float | None = None,
        request_id: str | None = None,
        expected_version: int | None = None,
        not_before: datetime | None = None,
    ) -> Awaitable[Receipt]:
        """Send a command, and return what will be its receipt, or raise the error that it was refused with.

        Blocks while as many commands as allowed are unanswered. Raises the stream's own error once it is given up.
        """
        if self._running is None:
            raise RuntimeError("enter the pipeline first: async with comby.pipeline() as pipeline")
        options = dispatch_options(wait, wait_timeout, request_id, expected_version, not_before)
        request = dispatch_request(message, options, self._connection.ambient)
        await self._free.acquire()
        if self._failed is not None or options.request_id in self._unanswered:
            self._free.release()
            raise self._failed or ValueError(f"the request id {options.request_id} is in the pipeline already")
        entry = _Entry(request=request, answer=asyncio.get_running_loop().create_future(), size=request.ByteSize())
        self._unanswered[options.request_id] = entry
        self._unsent.append(entry)
        self._more.set()
        return entry.answer

    async def _run(self) -> None:
        """Keep a stream open while there is something to send, and give up after too many failures in a row."""
        failures = 0
        metadata: Metadata = ()
        while True:
            await self._more.wait()
            before = len(self._unanswered)
            call = self._connection.open_bidi_stream(
                f"{FACADE}DispatchCommands",
                command_pb2.DispatchCommandsResponse,
                metadata=metadata,
                tenant_id=self._tenant_id,
            )
            answers, error = await self._converse(call)
            failures = 1 if answers or not before else failures + 1
            if failures >= self._connection.retry.attempts or not _retry.stream_may_heal(error):
                return self._give_up(error)
            self._unsent = deque(self._unanswered.values())
            metadata = (RETRY,)
            if self._unsent:
                self._more.set()
                await asyncio.sleep(self._connection.retry.delay(failures, error.retry_delay))

    async def _converse(self, call: _Stream) -> tuple[int, CombyError]:
        """Send and receive until the stream breaks; return how many answers came, and why it broke."""
        answers = 0
        writing = asyncio.create_task(self._write(call), name="comby pipeline, writing")
        try:
            async for response in call:
                for receipt in response.receipts:
                    answers += 1
                    self._settle(receipt)
        except grpc.aio.AioRpcError as error:
            return answers, _status.from_call(error)
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            call.cancel()
        return answers, _status.local(grpc.StatusCode.UNAVAILABLE, "the server ended the pipeline")

    async def _write(self, call: _Stream) -> None:
        async for pack in self._packs():
            await call.write(command_pb2.DispatchCommandsRequest(commands=pack))

    async def _packs(self) -> AsyncIterator[list[command_pb2.DispatchCommandRequest]]:
        """Yield what waits, as soon as something does: few at a time when there is little, many when there is much."""
        while True:
            while not self._unsent:
                self._more.clear()
                await self._more.wait()
            pack: list[command_pb2.DispatchCommandRequest] = []
            size = 0
            while self._unsent and len(pack) < PACK and (not pack or size + self._unsent[0].size <= PACK_BYTES):
                entry = self._unsent.popleft()
                size += entry.size
                pack.append(entry.request)
            yield pack

    def _settle(self, receipt: command_pb2.CommandReceipt) -> None:
        entry = self._unanswered.pop(receipt.request_id, None)
        if entry is None:
            return  # answered already, before the stream broke
        outcome = _status.receipt_from_wire(receipt, self._waiting)
        if entry.answer.done():
            pass  # the caller gave up waiting
        elif outcome.error is not None:
            entry.answer.set_exception(outcome.error)
        else:
            entry.answer.set_result(outcome)
        self._free.release()
        self._answered.set()

    def _give_up(self, error: CombyError) -> None:
        self._failed = error
        for entry in self._unanswered.values():
            if not entry.answer.done():
                entry.answer.set_exception(error)
                entry.answer.exception()  # dispatch and the end of the block raise it too
            self._free.release()
        self._unanswered.clear()
        self._answered.set()
