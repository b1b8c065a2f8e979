"""DispatchCommands: many commands in flight on one stream, and receipts as they become known, many to a message.

Commands are dispatched in the order in which they came. What is in flight is bounded: at the bound the stream is not read, and the
transport's flow control holds the caller back.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from comby.facade.v1 import command_pb2
from comby.server.application.errors import FacadeError
from comby.server.application.facade import Facade
from comby.server.application.requests import CommandRequest, Receipt
from comby.server.domain.context import RequestContext
from comby.server.rpc.answers import Answers
from comby.server.rpc.call import Call
from comby.server.rpc.commands import SERVICE
from comby.server.rpc.decoding import command_request, invalid, parse, plain_request, seconds
from comby.server.rpc.encoding import receipt_bytes
from comby.server.rpc.failures import told
from comby.server.rpc.status import status_of
from comby.server.rpc.table import Bidirectional, Method

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

    def dispatch(self, messages: AsyncIterator[bytes], call: Call) -> AsyncGenerator[bytes, None]:
        """Serve one pipeline: it ends when the caller has, and every receipt is sent."""
        pipeline = Pipeline(self._facade, call.context())
        return pipeline.receipts.messages(pipeline.read(messages))


class Pipeline:
    """One pipeline: commands go in by `read`, encoded receipts come out of `receipts`."""

    def __init__(self, facade: Facade, context: RequestContext) -> None:
        self.receipts = Answers(_RECEIPTS_FIELD)
        self._facade = facade
        self._context = context
        self._bound = facade.limits.pipeline_in_flight

    async def read(self, messages: AsyncIterator[bytes]) -> None:
        """Dispatch all commands of all messages. Raises InvalidMessage for what has no request id to answer under."""
        try:
            async for raw in messages:
                await self._dispatch_all(self._parse(raw))
        finally:
            self.receipts.end()

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
            while self.receipts.in_flight >= self._bound:
                await self.receipts.sent()
            self.receipts.begin()
            answer = _Answer(self.receipts, request_id)
            try:
                self._facade.dispatch_command_to(plain or self._request(one, request_id), answer)
            except Exception as error:
                answer.refuse(error)

    def _request(self, message: command_pb2.DispatchCommandRequest, request_id: str) -> CommandRequest:
        self._facade.validation.check(message)
        options = message.options
        timeout = None
        if options.HasField("wait_timeout"):
            timeout = min(seconds(options.wait_timeout), self._facade.limits.longest_wait)
        return command_request(message, self._context, request_id, wait_timeout=timeout, retried=False)


class _Answer:
    """Takes the answer of one command of a pipeline, once. A receipt has the request id as sent: by this the caller matches it."""

    __slots__ = ("_receipts", "_request_id", "_taken")

    def __init__(self, receipts: Answers, request_id: str) -> None:
        self._receipts = receipts
        self._request_id = request_id
        self._taken = False

    def done(self) -> bool:
        return self._taken

    def set_result(self, receipt: Receipt, /) -> None:
        self._taken = True
        self._receipts.put(receipt_bytes(receipt, self._request_id))

    def set_exception(self, error: FacadeError, /) -> None:
        self._taken = True
        self.refuse(error)

    def refuse(self, error: Exception) -> None:
        """Answer a command of which nothing was stored: an error and no stage."""
        status = status_of(told(error, "command failed", request_id=self._request_id))
        self._receipts.put(command_pb2.CommandReceipt(request_id=self._request_id, error=status).SerializeToString())
