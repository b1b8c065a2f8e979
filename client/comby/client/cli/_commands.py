"""`comby command`: what became of a command."""

from typing import Annotated

import typer

from comby.client import Stage
from comby.client._stage import to_wire
from comby.client.cli._session import Session, command
from comby.facade.v1 import command_pb2

app = typer.Typer(no_args_is_help=True, help="See what became of commands; retry or cancel them.")

RequestId = Annotated[str, typer.Argument(metavar="REQUEST_ID", help="The command's request id.")]


@command(app, "get")
async def get(session: Session, request_id: RequestId) -> None:
    """Print the stored record of a command."""
    request = command_pb2.GetCommandRequest(request_id=request_id)
    await session.show(await session.call("GetCommand", request, command_pb2.CommandRecord))


@command(app, "list")
async def list_(
    session: Session,
    stage: Annotated[list[Stage] | None, typer.Option(help="Only at this stage; may be repeated.")] = None,
    type: Annotated[str, typer.Option(help='Only this "Domain.MessageName".')] = "",
    aggregate_id: Annotated[str, typer.Option(help="Only for this aggregate.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
) -> None:
    """Print stored records, the last accepted first."""
    request = command_pb2.ListCommandsRequest(
        stages=[to_wire(item) for item in stage or ()], type=type, aggregate_id=aggregate_id, page_size=limit
    )
    answer = await session.call("ListCommands", request, command_pb2.ListCommandsResponse)
    await session.show(*answer.commands)


@command(app, "retry")
async def retry(session: Session, request_id: RequestId) -> None:
    """Queue a parked command again."""
    request = command_pb2.RetryCommandRequest(request_id=request_id)
    await session.show(await session.call("RetryCommand", request, command_pb2.CommandRecord, retry=False))


@command(app, "cancel")
async def cancel(session: Session, request_id: RequestId) -> None:
    """Give up a command that is parked or not yet begun."""
    request = command_pb2.CancelCommandRequest(request_id=request_id)
    await session.show(await session.call("CancelCommand", request, command_pb2.CommandRecord, retry=False))
