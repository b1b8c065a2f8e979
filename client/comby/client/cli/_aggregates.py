"""`comby aggregate`: the state of one aggregate, now or then."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from comby.client._wire import timestamp
from comby.client.cli._session import Session, command
from comby.facade.v1 import query_pb2

app = typer.Typer(no_args_is_help=True, help="See the state of an aggregate.")


@app.callback()
def aggregate() -> None:
    """See the state of an aggregate."""  # a group even with one command


@command(app, "show")
async def show(
    session: Session,
    aggregate: Annotated[str, typer.Argument(metavar="DOMAIN.NAME", help="The kind, such as Order.Order.")],
    aggregate_id: Annotated[str, typer.Argument(metavar="ID", help="The aggregate's id.")],
    at_version: Annotated[int | None, typer.Option(min=1, help="As it was at this version.")] = None,
    at_time: Annotated[str | None, typer.Option(help="As it was at this time, RFC 3339; UTC without a zone.")] = None,
) -> None:
    """Print the state of one aggregate: now, at a version, or at a time."""
    if at_version is not None and at_time is not None:
        raise ValueError("give --at-version or --at-time, not both")
    request = query_pb2.GetAggregateRequest(aggregate=aggregate, aggregate_id=aggregate_id)
    if at_version is not None:
        request.version = at_version
    if at_time is not None:
        moment = datetime.fromisoformat(at_time)
        request.time.CopyFrom(timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC)))
    await session.show(await session.call("GetAggregate", request, query_pb2.AggregateState))
