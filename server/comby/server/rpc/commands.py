"""The methods of the FacadeService that are about commands, but for the pipeline."""

from collections.abc import Mapping

from google.protobuf import any_pb2

from comby.facade.v1 import command_pb2, context_pb2
from comby.server.application.facade import Facade
from comby.server.application.requests import CommandListRequest, CommandRequest, CommandView, Receipt, Stage
from comby.server.rpc.call import Call
from comby.server.rpc.decoding import command_request, decode, seconds, type_of
from comby.server.rpc.encoding import STAGES, receipt_bytes, receipt_message, timestamp
from comby.server.rpc.errors import CommandRefused, InvalidMetadata
from comby.server.rpc.metadata import Keys
from comby.server.rpc.table import Method, Unary

SERVICE = "/comby.facade.v1.FacadeService/"


class CommandMethods:
    """Dispatches one command, waits for it, and shows and moves what is stored of it."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade
        self._messages: Mapping[str, str] = {
            command.identifier: name for name, command in facade.registry.commands.items()
        }

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Unary(path=f"{SERVICE}DispatchCommand", handler=self.dispatch, keys=Keys.COMMAND, waits=True),
            Unary(path=f"{SERVICE}WaitForCommand", handler=self.wait, waits=True),
            Unary(path=f"{SERVICE}GetCommand", handler=self.get),
            Unary(path=f"{SERVICE}ListCommands", handler=self.list),
            Unary(path=f"{SERVICE}RetryCommand", handler=self.retry),
            Unary(path=f"{SERVICE}CancelCommand", handler=self.cancel),
        ]

    async def dispatch(self, raw: bytes, call: Call) -> bytes:
        """DispatchCommand: options come from the message or from metadata, and never from both."""
        message = decode(command_pb2.DispatchCommandRequest, raw, self._facade.validation)
        metadata = call.metadata
        if message.HasField("options"):
            if metadata.command_key:
                raise InvalidMetadata(metadata.command_key)
            if metadata.request_id and message.options.request_id:
                raise InvalidMetadata("comby-request-id")
            given = message.options.request_id or metadata.request_id
            call.request_id = given or call.request_id
            wanted = seconds(message.options.wait_timeout) if message.options.HasField("wait_timeout") else None
            request = command_request(
                message,
                call.context(),
                call.request_id,
                wait_timeout=call.wait_timeout(wanted, self._facade.limits.longest_wait),
                retried=metadata.retried,
            )
            request.drawn = not given
            return await dispatch_and_answer(self._facade, request, call)
        request = request_from_metadata(
            self._facade, type_of(message.command), message.command.value, call, Stage.ACCEPTED
        )
        return await dispatch_and_answer(self._facade, request, call)

    async def wait(self, raw: bytes, call: Call) -> bytes:
        """WaitForCommand: the answer tells the stage that was reached; an error is inside the receipt."""
        message = decode(command_pb2.WaitForCommandRequest, raw, self._facade.validation)
        wanted = seconds(message.timeout) if message.HasField("timeout") else None
        receipt = await self._facade.wait_for_command(
            call.context(),
            message.request_id,
            STAGES.get(message.stage, Stage.EXECUTED),
            call.wait_timeout(wanted, self._facade.limits.longest_wait),
        )
        call.token = receipt.token
        return receipt_message(receipt).SerializeToString()

    async def get(self, raw: bytes, call: Call) -> bytes:
        """GetCommand."""
        message = decode(command_pb2.GetCommandRequest, raw, self._facade.validation)
        return self._record(await self._facade.get_command(call.context(), message.request_id)).SerializeToString()

    async def list(self, raw: bytes, call: Call) -> bytes:
        """ListCommands."""
        message = decode(command_pb2.ListCommandsRequest, raw, self._facade.validation)
        page = await self._facade.list_commands(
            CommandListRequest(
                context=call.context(),
                stages=frozenset(STAGES[stage] for stage in message.stages if stage in STAGES),
                type=message.type,
                aggregate_id=message.aggregate_id,
                page_size=message.page_size,
                page_token=message.page_token,
            )
        )
        return command_pb2.ListCommandsResponse(
            commands=[self._record(view) for view in page.commands], next_page_token=page.next_page_token
        ).SerializeToString()

    async def retry(self, raw: bytes, call: Call) -> bytes:
        """RetryCommand."""
        message = decode(command_pb2.RetryCommandRequest, raw, self._facade.validation)
        return self._record(await self._facade.retry_command(call.context(), message.request_id)).SerializeToString()

    async def cancel(self, raw: bytes, call: Call) -> bytes:
        """CancelCommand."""
        message = decode(command_pb2.CancelCommandRequest, raw, self._facade.validation)
        return self._record(await self._facade.cancel_command(call.context(), message.request_id)).SerializeToString()

    def _record(self, view: CommandView) -> command_pb2.CommandRecord:
        stored = view.stored
        record = command_pb2.CommandRecord(
            receipt=receipt_message(view.receipt),
            type=stored.type,
            context=context_pb2.RequestContext.FromString(stored.context),
            attempts=stored.attempts,
            accepted_at=timestamp(stored.accepted_at),
            finished_at=None if stored.finished_at is None else timestamp(stored.finished_at),
            not_before=None if stored.not_before is None else timestamp(stored.not_before),
        )
        if stored.command is not None:
            name = self._messages.get(stored.type, stored.type)
            record.command.CopyFrom(any_pb2.Any(type_url=f"type.googleapis.com/{name}", value=stored.command))
        return record


def request_from_metadata(facade: Facade, type: str, payload: bytes, call: Call, default: Stage) -> CommandRequest:
    """Return the request of a command whose options are the call's metadata."""
    metadata = call.metadata
    return CommandRequest(
        type=type,
        payload=payload,
        context=call.context(),
        request_id=call.request_id,
        wait=metadata.wait or default,
        wait_timeout=call.wait_timeout(metadata.wait_timeout, facade.limits.longest_wait),
        expected_version=metadata.expected_version,
        not_before=metadata.not_before,
        retried=metadata.retried,
        drawn=not metadata.request_id,
    )


async def dispatch_and_answer(facade: Facade, request: CommandRequest, call: Call) -> bytes:
    """Dispatch a command and answer its receipt. Raises CommandRefused when the call waited, and the receipt holds an error."""
    try:
        receipt: Receipt = await facade.dispatch_command(request)
    finally:
        call.request_id = request.request_id  # one that was drawn may have been replaced
    call.token = receipt.token
    if receipt.error is not None and request.wait is not Stage.ACCEPTED:
        raise CommandRefused(receipt, receipt.error)
    return receipt_bytes(receipt, receipt.request_id)
