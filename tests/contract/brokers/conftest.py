"""Brokers of every kind, for the suites of this folder."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import pytest

from comby.server.brokers.memory.broker import InProcessBroker
from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import LogIdentity
from comby.server.ports.broker import Broker
from tests.brokers.fixtures import nats_options, nats_server, start_nats

__all__ = ["nats_options", "nats_server", "start_nats"]

OpenBroker: TypeAlias = Callable[[], AbstractAsyncContextManager[Broker]]
LOG = LogIdentity("a-log", "its-first-life")


@pytest.fixture(params=["memory", "nats"])
def open_broker(request: pytest.FixtureRequest) -> OpenBroker:
    """Open brokers as the instances of one system do."""
    if request.param == "memory":
        return _in_process
    options: NatsOptions = request.getfixturevalue("nats_options")

    @asynccontextmanager
    async def over_nats() -> AsyncIterator[Broker]:
        async with open_nats(options, name="shop", log=LOG) as opened:
            yield opened.broker

    return over_nats


@asynccontextmanager
async def _in_process() -> AsyncIterator[Broker]:
    yield InProcessBroker()
