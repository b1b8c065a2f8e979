"""`comby health`: whether the server serves."""

from typing import Annotated

import typer
from grpc_health.v1 import health_pb2

from comby.client.cli._session import Session

METHOD = "/grpc.health.v1.Health/Check"


async def health(
    session: Session,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="One gRPC service; the whole server.")] = "",
) -> None:
    """Print SERVING, or end with exit code 1."""
    request = health_pb2.HealthCheckRequest(service=service)
    answer = await session.connection.unary(METHOD, request, health_pb2.HealthCheckResponse)
    status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        raise ValueError(f"the server is {status}")
    typer.echo(status)
