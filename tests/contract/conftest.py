"""Every suite of this folder runs against every adapter: a new one joins with one entry in ADAPTERS."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from comby.server.ports.store import Store
from comby.server.stores.postgres import open_postgres
from comby.server.stores.sqlite import open_sqlite
from tests.contract.making import Opener
from tests.postgres_databases import databases


def sqlite_file(directory: Path) -> Opener:
    return lambda: open_sqlite(f"sqlite:///{directory / 'store.db'}")


def sqlite_memory(directory: Path) -> Opener:
    return lambda: open_sqlite("sqlite://:memory:")


def postgres(directory: Path) -> Opener:
    return lambda: open_postgres(databases().url(directory))


ADAPTERS: dict[str, Callable[[Path], Opener]] = {
    "sqlite-file": sqlite_file,
    "sqlite-memory": sqlite_memory,
    "postgres": postgres,
}

DURABLE = frozenset({"sqlite-file", "postgres"})
"""The adapters whose stores are still there when they are opened again."""

SHARED = ["postgres"]
"""The adapters whose stores several instances may have open: `@pytest.mark.parametrize("adapter", SHARED, indirect=True)`."""


@pytest.fixture(params=list(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> Callable[[Path], Opener]:
    """Open stores of one adapter in a directory; the same directory is the same store, where the adapter keeps any."""
    found: Callable[[Path], Opener] = ADAPTERS[request.param]
    return found


@pytest.fixture
def durable(adapter: Callable[[Path], Opener]) -> bool:
    """Whether the adapter's stores outlive their closing."""
    return any(ADAPTERS[name] is adapter for name in DURABLE)


@pytest.fixture
async def store(adapter: Callable[[Path], Opener], tmp_path: Path) -> AsyncIterator[Store]:
    """An empty store."""
    async with adapter(tmp_path)() as opened:
        yield opened
