"""The health of the server and of each service, by the standard protocol grpc.health.v1."""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from grpc_health.v1 import health_pb2

from comby.server.rpc.call import Call
from comby.server.rpc.decoding import parse
from comby.server.rpc.errors import UnknownService
from comby.server.rpc.table import Method, Streaming, Unary

HEALTH_SERVICE = "grpc.health.v1.Health"
_Response = health_pb2.HealthCheckResponse


class Health:
    """All services are of one health: they share a store. It begins as not serving."""

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(("", *services))
        self._status: int = _Response.NOT_SERVING
        self._changed = asyncio.Event()

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Unary(path=f"/{HEALTH_SERVICE}/Check", handler=self.check),
            Streaming(path=f"/{HEALTH_SERVICE}/Watch", handler=self.watch),
        ]

    def serve(self) -> None:
        """Tell everybody that the server serves."""
        self._set(_Response.SERVING)

    def stop(self) -> None:
        """Tell everybody that the server is about to stop."""
        self._set(_Response.NOT_SERVING)

    async def check(self, raw: bytes, call: Call) -> bytes:
        """Check: a service that is not served is NOT_FOUND, as the protocol demands."""
        service = parse(health_pb2.HealthCheckRequest, raw).service
        if service not in self._services:
            raise UnknownService(service)
        return _Response(status=self._status).SerializeToString()

    async def watch(self, raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """Watch: the health now and after every change, without end."""
        known = parse(health_pb2.HealthCheckRequest, raw).service in self._services
        told: int | None = None
        while True:
            changed = self._changed
            status = self._status if known else _Response.SERVICE_UNKNOWN
            if status != told:
                told = status
                yield _Response(status=status).SerializeToString()
                continue
            await changed.wait()

    def _set(self, status: int) -> None:
        self._status = status
        self._changed.set()
        self._changed = asyncio.Event()
