"""Every suite of this folder runs over every transport and every store: another joins with one entry."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias
from uuid import uuid4

import grpc
import pytest

from comby.server import Facade
from comby.server.application import consumers, executor, running_reactor
from comby.server.application.admission import PARTITIONS
from comby.server.application.limits import Limits
from comby.server.application.shared_ownership import ThisInstance
from comby.server.apps import App
from comby.server.bootstrap import open_store, running, store_broker
from comby.server.settings import Settings
from tests.contract.facade.alternating import DirectPeers, alternating
from tests.contract.facade.driver import Driver
from tests.contract.facade.in_process import InProcess
from tests.contract.facade.over_grpc import OverGrpc
from tests.domains.bank.app import bank
from tests.domains.controls import Controls
from tests.postgres_databases import databases


def postgres(directory: Path) -> str:
    """Return the URL of a directory's database."""
    return databases().url(directory)


STORES: dict[str, Callable[[Path], str]] = {
    "sqlite-memory": lambda directory: "sqlite://:memory:",
    "sqlite-file": lambda directory: f"sqlite:///{directory / 'bank.db'}",
    "postgres": postgres,
}
TWICE = {"postgres-twice": postgres}
SOLE = [name for name in STORES if name == "sqlite-file"]
"""Stores of one process, which notice at their next start that it was killed; others notice when its partitions are taken over."""
SEVERAL = {"postgres-twice": 2}
"""How many instances serve a store."""
SHARING_SECONDS = 30.0
OVER_SEVERAL = frozenset(
    {"test_idempotency", "test_versions", "test_several_aggregates", "test_records", "test_live_queries"}
)
"""The suites that are run over several instances too; the others tell what is true of one."""
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
async def in_process(app: App, url: str, limits: Limits, instances: int) -> AsyncIterator[tuple[Driver, Facade]]:
    """Run facades without a server."""
    async with AsyncExitStack() as stack:
        facades: dict[str, Facade] = {}
        for number in range(instances):
            name = f"instance-{number}"
            store = await stack.enter_async_context(open_store(url, sender=name))
            facade = Facade("bank", store, limits)
            app(facade)
            if store.instances is not None:
                this = ThisInstance(instance_id=str(uuid4()), name=name, address=name, eligible=True, version="1")
                facade.be_one_of(store.instances, this, store_broker(url, sender=name), DirectPeers(facades))
            facades[name] = await stack.enter_async_context(facade)
        await _shared(facades.values())
        yield alternating([InProcess(facade) for facade in facades.values()]), facades["instance-0"]


@asynccontextmanager
async def over_grpc(app: App, url: str, limits: Limits, instances: int) -> AsyncIterator[tuple[Driver, Facade]]:
    """Run servers on sockets, and connect to them."""
    settings = Settings(app="bank:app", listen="127.0.0.1:0", store=url, limits=limits, shutdown_grace=1.0)
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(app, settings)) for _ in range(instances)]
        drivers: list[Driver] = []
        for server in servers:
            channel = grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])
            drivers.append(OverGrpc(await stack.enter_async_context(channel)))
        await _shared([server.facade for server in servers])
        yield alternating(drivers), servers[0].facade


async def _shared(facades: Collection[Facade]) -> None:
    """Wait until several instances have their shares, and each knows the owner of every partition: what comes before that is stored."""
    owners = [facade._running.ownership for facade in facades]
    async with asyncio.timeout(SHARING_SECONDS):
        while len(owners) > 1 and not all(
            len(one.partitions or ()) == PARTITIONS // len(owners)
            and all(one.owns(partition) or one.address_of(partition) for partition in range(PARTITIONS))
            for one in owners
        ):
            await asyncio.sleep(0.01)


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test over the stores, unless it says itself over which."""
    own = any("store" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "store" in metafunc.fixturenames and not own:
        several = TWICE if metafunc.module.__name__.rpartition(".")[2] in OVER_SEVERAL else {}
        metafunc.parametrize("store", [*STORES, *several], indirect=True)


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store."""
    return (STORES | TWICE)[request.param](tmp_path)


@pytest.fixture
def instances(request: pytest.FixtureRequest) -> int:
    """How many instances serve the store."""
    return SEVERAL.get(request.node.callspec.params.get("store", ""), 1)


@pytest.fixture
def controls() -> Controls:
    """What the test holds of the handlers; they outlive a restart."""
    return Controls()


@pytest.fixture
def serve(transport: str, store: str, instances: int, controls: Controls) -> Serve:
    """Run the bank, or another app, on the test's store; again for a restart."""

    @asynccontextmanager
    async def serving(*, app: App | None = None, limits: Limits | None = None) -> AsyncIterator[Service]:
        quick = replace(limits or Limits(), heartbeat=0.1, lease=2.0)
        async with TRANSPORTS[transport](app or bank(controls), store, quick, instances) as (driver, facade):
            yield Service(driver, controls, facade)

    return serving


@pytest.fixture
async def service(serve: Serve) -> AsyncIterator[Service]:
    """The bank, running."""
    async with serve() as running_service:
        yield running_service
