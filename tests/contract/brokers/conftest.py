"""Brokers of every kind, for the suites of this folder."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TypeAlias

import pytest

from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import LogIdentity
from comby.server.ports.broker import Broker
from comby.server.stores.postgres import PostgresBroker
from tests.brokers.fixtures import nats_options, nats_server, start_nats
from tests.postgres_databases import databases

__all__ = ["nats_options", "nats_server", "start_nats"]

OpenBroker: TypeAlias = Callable[[], AbstractAsyncContextManager[Broker]]
LOG = LogIdentity("a-log", "its-first-life")


@pytest.fixture(params=["postgres", "nats"])
def open_broker(request: pytest.FixtureRequest, tmp_path: Path) -> OpenBroker:
    """Open brokers as the instances of one system do."""
    if request.param == "postgres":
        return lambda: nullcontext(PostgresBroker(databases().url(tmp_path), sender="an-instance"))
    options: NatsOptions = request.getfixturevalue("nats_options")

    @asynccontextmanager
    async def over_nats() -> AsyncIterator[Broker]:
        async with open_nats(options, name="shop", log=LOG) as opened:
            yield opened.broker

    return over_nats
