"""A real server of the shop, started for each test that asks for one."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeAlias

import pytest
import pytest_asyncio
from google.protobuf.message import Message
from grpc import aio

from comby.server import Facade
from comby.server.bootstrap import Running, running
from comby.server.domain.context import Execution, RequestContext
from comby.server.settings import Settings
from shop.app import app as shop

SECRET = "hunter2"
"""Raised by handlers that see it in a message; it must reach nobody."""
Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Running]]


class Failing:
    """Middleware that fails with a text that nobody may see."""

    async def on_command(self, command: Message, execution: Execution, proceed: Callable[[], Any]) -> None:
        """Fail for a command with the secret in it."""
        if SECRET in str(command):
            raise RuntimeError(f"password={SECRET}")
        await proceed()

    async def on_query(self, query: Message, request: RequestContext, proceed: Callable[[], Any]) -> Message:
        """Fail for a query of the tenant that is named so."""
        if request.tenant_id == SECRET:
            raise RuntimeError(f"password={SECRET}")
        answer: Message = await proceed()
        return answer


def failing_shop(facade: Facade) -> None:
    """The shop, with middleware that fails."""
    facade.use(Failing())
    shop(facade)


@pytest.fixture
def serve() -> Serve:
    """Start servers of the shop, with settings."""

    @asynccontextmanager
    async def start(**settings: Any) -> AsyncIterator[Running]:
        chosen = {"app": "shop.app:app", "listen": "127.0.0.1:0", "store": "sqlite://:memory:", **settings}
        async with running(failing_shop, Settings(**chosen)) as server:
            yield server

    return start


@pytest_asyncio.fixture
async def server(serve: Serve) -> AsyncIterator[Running]:
    """A server of the shop."""
    async with serve() as started:
        yield started


@pytest_asyncio.fixture
async def channel(server: Running) -> AsyncIterator[aio.Channel]:
    """A channel to it."""
    async with aio.insecure_channel(server.address) as opened:
        yield opened
