"""Every suite of this folder runs over every transport and every store: another joins with one entry."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import grpc
import pytest

from comby.server import Facade
from comby.server.application import consumers, executor, running_reactor
from comby.server.application.limits import Limits
from comby.server.apps import App
from comby.server.bootstrap import open_store, running
from comby.server.settings import Settings
from tests.contract.facade.driver import Driver
from tests.contract.facade.in_process import InProcess
from tests.contract.facade.over_grpc import OverGrpc
from tests.domains.bank.app import bank
from tests.domains.controls import Controls

STORES: dict[str, Callable[[Path], str]] = {
    "sqlite-memory": lambda directory: "sqlite://:memory:",
    "sqlite-file": lambda directory: f"sqlite:///{directory / 'bank.db'}",
}
DURABLE = [name for name in STORES if name != "sqlite-memory"]
"""Stores that are still there when they are opened again: `@pytest.mark.parametrize("store", DURABLE, indirect=True)`."""


@dataclass(frozen=True, slots=True)
class Service:
    """A facade that runs: as its callers see it, and what the test holds of its handlers."""

    driver: Driver
    controls: Controls
    facade: Facade


Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[Service]]


@asynccontextmanager
async def in_process(app: App, url: str, limits: Limits) -> AsyncIterator[tuple[Driver, Facade]]:
    """Run a facade without a server."""
    async with open_store(url) as store:
        facade = Facade("bank", store, limits)
        app(facade)
        async with facade:
            yield InProcess(facade), facade


@asynccontextmanager
async def over_grpc(app: App, url: str, limits: Limits) -> AsyncIterator[tuple[Driver, Facade]]:
    """Run a server on a socket, and connect to it."""
    settings = Settings(app="bank:app", listen="127.0.0.1:0", store=url, limits=limits, shutdown_grace=1.0)
    async with (
        running(app, settings) as server,
        grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
    ):
        yield OverGrpc(channel), server.facade


TRANSPORTS = {"in_process": in_process, "over_grpc": over_grpc}


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has failed is tried again at once: no test is about how long it takes."""
    monkeypatch.setattr(executor, "RETRY_BASE", 0.001)
    monkeypatch.setattr(consumers, "BACKOFF", 0.01)
    monkeypatch.setattr(running_reactor, "BACKOFF", 0.01)


@pytest.fixture(params=list(TRANSPORTS))
def transport(request: pytest.FixtureRequest) -> str:
    """How the facade is reached."""
    return str(request.param)


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    return STORES[request.param](tmp_path)


@pytest.fixture
def controls() -> Controls:
    """What the test holds of the handlers; they outlive a restart."""
    return Controls()


@pytest.fixture
def serve(transport: str, store: str, controls: Controls) -> Serve:
    """Run the bank, or another app, on the test's store; again for a restart."""

    @asynccontextmanager
    async def serving(*, app: App | None = None, limits: Limits | None = None) -> AsyncIterator[Service]:
        async with TRANSPORTS[transport](app or bank(controls), store, limits or Limits()) as (driver, facade):
            yield Service(driver, controls, facade)

    return serving


@pytest.fixture
async def service(serve: Serve) -> AsyncIterator[Service]:
    """The bank, running."""
    async with serve() as running_service:
        yield running_service
