"""A real server over a fake facade."""

from collections.abc import AsyncIterator

import pytest_asyncio
from grpc import aio

from comby.server.rpc.grpc_server import build_server
from comby.server.rpc.health import Health
from comby.server.rpc.services import build_table, services_of
from tests.unit.rpc.fake_facade import FakeFacade


@pytest_asyncio.fixture
async def facade() -> FakeFacade:
    """The facade behind the channel."""
    return FakeFacade()


@pytest_asyncio.fixture
async def channel(facade: FakeFacade) -> AsyncIterator[aio.Channel]:
    """A channel to a server that serves the facade."""
    health = Health(services_of(facade))
    server, port = build_server(
        build_table(facade, health, "1"),
        facade.limits,
        listen="127.0.0.1:0",
        tls=None,
    )
    await server.start()
    health.serve()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(None)
