"""DispatchCommands: many commands in flight on one stream, and receipts as they become known, many to a message.

Commands are dispatched in the order in which they came. What is in flight is bounded: at the bound the stream is not read, and the
transport's flow control holds the caller back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

from comby.facade.v1 import command_pb2
from comby.server.application.errors import FacadeError
from comby.server.application.facade import Facade
from comby.server.application.requests import CommandRequest, Receipt
from comby.server.domain.context import RequestContext
from comby.server.rpc.call import Call
from comby.server.rpc.commands import SERVICE
from comby.server.rpc.decoding import command_request, invalid, parse, plain_request, seconds
from comby.server.rpc.encoding import receipt_bytes
from comby.server.rpc.failures import told
from comby.server.rpc.status import status_of
from comby.server.rpc.table import Bidirectional, Method
from comby.server.rpc.wire import length_delimited

RECEIPTS_PER_MESSAGE = 100
BYTES_PER_MESSAGE = 1024 * 1024
"""Receipts of commands with many events are large: a message ends here, far below a client's limit of 4 MiB."""
MOST_COMMANDS = 1000
"""Commands in one message, as the contract tells."""
_RECEIPTS_FIELD = command_pb2.DispatchCommandsResponse.RECEIPTS_FIELD_NUMBER


class PipelineMethod:
    """Serves the pipelines of a facade."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def methods(self) -> list[Method]:
        """Return the method for the table."""
        return [Bidirectional(path=f"{SERVICE}DispatchCommands", handler=self.dispatch)]

    async def dispatch(self, messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """Serve one pipeline: it ends when the caller has, and every receipt is sent."""
        pipeline = Pipeline(self._facade, call.context())
        reader = asyncio.create_task(pipeline.read(messages))
        try:
            while receipts := await pipeline.receipts():
                yield receipts
            await reader
        finally:
            reader.cancel()


class Pipeline:
    """One pipeline: commands go in by `read`, encoded receipts come out by `receipts`."""

    def __init__(self, facade: Facade, context: RequestContext) -> None:
        self._facade = facade
        self._context = context
        self._bound = facade.limits.pipeline_in_flight
        self._in_flight = 0
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    async def read(self, messages: AsyncIterator[bytes]) -> None:
        """Dispatch all commands of all messages. Raises InvalidMessage for what has no request id to answer under."""
        try:
            async for raw in messages:
                await self._dispatch_all(self._parse(raw))
        finally:
            self._ended = True
            self._changed.set()

    async def receipts(self) -> bytes:
        """Return the next message: all receipts that are known, but not too many; empty when everything is answered."""
        while not self._ready:
            if self._ended and not self._in_flight:
                return b""
            self._changed.clear()
            await self._changed.wait()
        packed = [self._ready.popleft()]
        size = len(packed[0])
        while self._ready and len(packed) < RECEIPTS_PER_MESSAGE and size + len(self._ready[0]) <= BYTES_PER_MESSAGE:
            size += len(self._ready[0])
            packed.append(self._ready.popleft())
        self._in_flight -= len(packed)
        self._room.set()
        return b"".join(packed)

    def _parse(self, raw: bytes) -> command_pb2.DispatchCommandsRequest:
        message = parse(command_pb2.DispatchCommandsRequest, raw)
        if not 1 <= len(message.commands) <= MOST_COMMANDS:
            raise invalid(message, "commands", "repeated.max_items", f"must be 1 to {MOST_COMMANDS} commands")
        return message

    async def _dispatch_all(self, message: command_pb2.DispatchCommandsRequest) -> None:
        for place, one in enumerate(message.commands):
            plain = plain_request(one, self._context)
            request_id = one.options.request_id if plain is None else plain.request_id
            if not request_id:
                field = f"commands[{place}].options.request_id"
                raise invalid(message, field, "required", "must be given, for the receipt is matched by it")
            while self._in_flight >= self._bound:
                self._room.clear()
                await self._room.wait()
            self._in_flight += 1
            try:
                request = plain or self._request(one, request_id)
                self._facade.dispatch_command_to(request, _Answer(self, request_id))
            except Exception as error:
                self.refuse(request_id, error)

    def _request(self, message: command_pb2.DispatchCommandRequest, request_id: str) -> CommandRequest:
        self._facade.validation.check(message)
        options = message.options
        timeout = None
        if options.HasField("wait_timeout"):
            timeout = min(seconds(options.wait_timeout), self._facade.limits.longest_wait)
        return command_request(message, self._context, request_id, wait_timeout=timeout, retried=False)

    def refuse(self, request_id: str, error: BaseException) -> None:
        """Answer a command of which nothing was stored: an error and no stage."""
        refusal = command_pb2.CommandReceipt(
            request_id=request_id, error=status_of(told(error, "command failed", request_id=request_id))
        )
        self.put(refusal.SerializeToString())

    def put(self, receipt: bytes) -> None:
        """Send an encoded receipt, with the request id as sent: by this the caller matches it."""
        if not self._ready:
            self._changed.set()
        self._ready.append(length_delimited(_RECEIPTS_FIELD, receipt))


class _Answer:
    """Takes the answer of one command of a pipeline, once."""

    __slots__ = ("_pipeline", "_request_id", "_taken")

    def __init__(self, pipeline: Pipeline, request_id: str) -> None:
        self._pipeline = pipeline
        self._request_id = request_id
        self._taken = False

    def done(self) -> bool:
        return self._taken

    def set_result(self, receipt: Receipt, /) -> None:
        self._taken = True
        self._pipeline.put(receipt_bytes(receipt, self._request_id))

    def set_exception(self, error: FacadeError, /) -> None:
        self._taken = True
        self._pipeline.refuse(self._request_id, error)
