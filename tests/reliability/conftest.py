"""Rows of the reliability bar: real servers on real sockets and files, in a short form for every run and a long one.

The long form is marked `long`. COMBY_TEST_SEED repeats a run's choices; each test reports its seed and its counts.
"""

import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.brokers.fixtures import nats_server, start_nats
from tests.postgres_databases import databases
from tests.reliability.trial_server import APP, TrialServer, serving

__all__ = ["nats_server", "start_nats"]

Serve: TypeAlias = Callable[..., AbstractAsyncContextManager[TrialServer]]
ServeMany: TypeAlias = Callable[..., AbstractAsyncContextManager[list[TrialServer]]]
Report: TypeAlias = Callable[..., None]
PROPERTY = "reliability"
SEED = "COMBY_TEST_SEED"


@pytest.fixture(params=[pytest.param(False, id="short"), pytest.param(True, id="long", marks=pytest.mark.long)])
def long(request: pytest.FixtureRequest) -> bool:
    """Whether the test is to run at the size of the bar."""
    return bool(request.param)


@pytest.fixture
def seed() -> int:
    """What the test's random choices start from."""
    return int(os.environ.get(SEED, random.randrange(2**32)))


STORES = ["sqlite", "postgres"]
"""`@pytest.mark.parametrize("serve", STORES, indirect=True)` runs a test on both."""


@pytest.fixture
def serve(request: pytest.FixtureRequest, tmp_path: Path) -> Serve:
    """Start servers of the trial domain, with flags; on SQLite unless the test asks for another store."""
    store = databases().url(tmp_path) if getattr(request, "param", "sqlite") == "postgres" else ""

    @asynccontextmanager
    async def start(*flags: str, app: str = APP) -> AsyncIterator[TrialServer]:
        async with serving(tmp_path, *flags, store=store, app=app) as server:
            yield server

    return start


@pytest.fixture
def serve_many(tmp_path: Path) -> ServeMany:
    """Start several instances over one PostgreSQL, each with a folder of its own, with flags."""

    @asynccontextmanager
    async def start(count: int, *flags: str) -> AsyncIterator[list[TrialServer]]:
        store = databases().url(tmp_path)
        async with AsyncExitStack() as stack:
            servers = []
            for number in range(count):
                folder = tmp_path / f"instance-{number}"
                folder.mkdir()
                servers.append(await stack.enter_async_context(serving(folder, *flags, store=store)))
            yield servers

    return start


@pytest.fixture
def report(record_property: Callable[[str, object], None], seed: int, long: bool) -> Report:
    """Take a row's name and its figures, for the end of the run."""

    def tell(row: str, **figures: object) -> None:
        shown = ", ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in figures.items())
        line = f"{row} ({'long' if long else 'short'}, seed {seed}): {shown}"
        print(line)
        record_property(PROPERTY, line)

    return tell


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was reported; it comes with the reports also from other processes."""
    reports = [one for state in ("passed", "failed") for one in terminalreporter.stats.get(state, [])]
    lines = [value for one in reports for name, value in getattr(one, "user_properties", ()) if name == PROPERTY]
    if lines:
        terminalreporter.section("reliability")
    for line in sorted(set(lines)):
        terminalreporter.write_line(str(line))


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
