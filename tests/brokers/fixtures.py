"""Fixtures for whoever needs a NATS server: import them into a conftest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from comby.server.brokers.nats import NatsOptions
from tests.brokers.nats_server import NatsServer


@pytest.fixture
def start_nats(tmp_path: Path) -> Iterator[Callable[..., NatsServer]]:
    """Start servers, each with further lines of its configuration."""
    with ExitStack() as stack:
        count = 0

        def start(settings: str = "", *, user: str = "") -> NatsServer:
            nonlocal count
            count += 1
            folder = tmp_path / f"nats{count}"
            folder.mkdir()
            server = NatsServer(folder, settings, user=user)
            stack.callback(server.stop)
            server.start()
            return server

        yield start


@pytest.fixture
def nats_server(start_nats: Callable[..., NatsServer]) -> NatsServer:
    """A server that runs."""
    return start_nats()


@pytest.fixture
def nats_options(nats_server: NatsServer) -> NatsOptions:
    """How to connect to it."""
    return NatsOptions(servers=(nats_server.address,))
