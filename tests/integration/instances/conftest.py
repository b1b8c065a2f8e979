"""Instances of the bank over one PostgreSQL, in this process, on sockets of their own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import pytest

from comby.server import Facade
from comby.server.application.limits import Limits
from comby.server.bootstrap import running
from comby.server.settings import Settings
from tests.contract.facade.driver import Driver
from tests.contract.facade.over_grpc import OverGrpc
from tests.domains.bank.app import bank
from tests.domains.bank.handlers import Totals
from tests.domains.controls import Controls
from tests.postgres_databases import databases

LIMITS = Limits(heartbeat=0.1, lease=2.0)


@dataclass(frozen=True, slots=True)
class Served:
    """An instance, as its callers see it."""

    driver: Driver
    facade: Facade
    channel: grpc.aio.Channel


Join: TypeAlias = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The URL of an empty database."""
    return databases().url(tmp_path)


@pytest.fixture
def controls() -> Controls:
    """What the test holds of all handlers."""
    return Controls()


@pytest.fixture
def join(url: str, controls: Controls) -> Join:
    """Serve one more instance, with settings, and with another projection as `totals`."""

    @asynccontextmanager
    async def joining(
        *, limits: Limits = LIMITS, totals: Totals | None = None, **settings: Any
    ) -> AsyncIterator[Served]:
        chosen = Settings(
            app="bank:app", listen="127.0.0.1:0", store=url, limits=limits, shutdown_grace=1.0, **settings
        )
        async with (
            running(bank(controls, totals=totals), chosen) as server,
            grpc.aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel,
        ):
            yield Served(OverGrpc(channel), server.facade, channel)

    return joining
