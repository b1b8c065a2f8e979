"""`comby health`: whether the server serves, and what behind it does not get on."""

from typing import Annotated

import typer
from grpc_health.v1 import health_pb2

from comby.client import CombyError
from comby.client.cli._session import Session
from comby.facade.v1 import projection_pb2

METHOD = "/grpc.health.v1.Health/Check"


async def health(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="One gRPC service; the whole server.")] = "",
) -> None:
    """Print SERVING, and a line for each projection, reactor or relay that fails; or end with exit code 1."""
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await session.connection.unary(METHOD, request, health_pb2.HealthCheckResponse)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise ValueError(f"the server is {status}")
    typer.echo(status)
    if not service:
        for consumer in await _failing(session):
            kind = projection_pb2.ConsumerKind.Name(consumer.kind).removeprefix("CONSUMER_KIND_").lower()
            failure, behind = consumer.failure, consumer.head - consumer.position
            typer.echo(
                f"{kind} {consumer.name} fails since {failure.since.ToJsonString()}, {behind} events behind"
                f" (incident {failure.incident})"
            )


async def _failing(session: Session) -> list[projection_pb2.Consumer]:
    """Return the consumers that fail; none where the server does not tell: it serves all the same."""
    try:
        return [consumer for consumer in await session.comby.list_consumers() if consumer.HasField("failure")]
    except CombyError:
        return []
