"""`comby projection` and `comby reactor`: what follows the log, and how far it has come."""

from typing import Annotated

import typer

from comby.client.cli._session import Session, command
from comby.facade.v1 import projection_pb2

projections = typer.Typer(no_args_is_help=True, help="See how far projections have come; rebuild them.")
reactors = typer.Typer(no_args_is_help=True, help="See at which aggregates reactors failed; retry or skip.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The declared name.")]
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="The aggregate's domain.")]
AggregateId = Annotated[str, typer.Argument(metavar="ID", help="The aggregate's id.")]


@command(projections, "list")
async def list_projections(session: Session) -> None:
    """Print every projection, its checkpoint and the head."""
    await _consumers(session, projection_pb2.CONSUMER_KIND_PROJECTION)


@command(projections, "rebuild")
async def rebuild(session: Session, name: Name) -> None:
    """Build a projection anew beside the live one, and switch once it has caught up."""
    request = projection_pb2.RebuildProjectionRequest(name=name)
    await session.show(await session.call("RebuildProjection", request, projection_pb2.Consumer, retry=False))


@command(reactors, "list")
async def list_reactors(session: Session) -> None:
    """Print every reactor, its checkpoint and how many aggregates are parked."""
    await _consumers(session, projection_pb2.CONSUMER_KIND_REACTOR)


@command(reactors, "parked")
async def parked(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Only of this reactor.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
) -> None:
    """Print the aggregates at which a reactor failed."""
    request = projection_pb2.ListParkedKeysRequest(reactor=name, page_size=limit)
    answer = await session.call("ListParkedKeys", request, projection_pb2.ListParkedKeysResponse)
    await session.show(*answer.keys)


@command(reactors, "retry")
async def retry(session: Session, name: Name, domain: Domain, aggregate_id: AggregateId) -> None:
    """Handle the failed event again, then those that wait behind it."""
    await _resolve(session, name, domain, aggregate_id, projection_pb2.PARKED_KEY_ACTION_RETRY)


@command(reactors, "skip")
async def skip(session: Session, name: Name, domain: Domain, aggregate_id: AggregateId) -> None:
    """Give up the failed event, and go on with those that wait behind it."""
    await _resolve(session, name, domain, aggregate_id, projection_pb2.PARKED_KEY_ACTION_SKIP)


async def _consumers(session: Session, kind: projection_pb2.ConsumerKind.ValueType) -> None:
    request = projection_pb2.ListConsumersRequest(kind=kind)
    answer = await session.call("ListConsumers", request, projection_pb2.ListConsumersResponse)
    await session.show(*answer.consumers)


async def _resolve(
    session: Session, name: str, domain: str, aggregate_id: str, action: projection_pb2.ParkedKeyAction.ValueType
) -> None:
    request = projection_pb2.ResolveParkedKeyRequest(
        reactor=name, domain=domain, aggregate_id=aggregate_id, action=action
    )
    await session.show(await session.call("ResolveParkedKey", request, projection_pb2.ParkedKey, retry=False))
