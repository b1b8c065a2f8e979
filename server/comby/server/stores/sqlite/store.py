"""Opens and closes a store in SQLite."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from comby.server.ports.store import Store
from comby.server.stores.sqlite.checkpoint_store import SqliteCheckpointStore
from comby.server.stores.sqlite.command_store import SqliteCommandStore
from comby.server.stores.sqlite.connection import open_reader
from comby.server.stores.sqlite.event_store import SqliteEventStore
from comby.server.stores.sqlite.location import InFile, InMemory, parse_url
from comby.server.stores.sqlite.lock import take
from comby.server.stores.sqlite.read_model_store import SqliteReadModelStore
from comby.server.stores.sqlite.session import Reader, Session
from comby.server.stores.sqlite.snapshot_store import SqliteSnapshotStore
from comby.server.stores.sqlite.statements import Statements
from comby.server.stores.sqlite.worker import working
from comby.server.stores.sqlite.writing import writing_in_thread
from comby.server.stores.sqlite.writing_in_process import writing_in_process

READERS = 2  # so that one long page does not hold up the others


@asynccontextmanager
async def open_sqlite(url: str) -> AsyncIterator[Store]:
    """Open the store of a URL, and create it if it is missing.

    URLs are `sqlite:///relative.db`, `sqlite:////absolute.db` and `sqlite://:memory:`, which is gone when it is closed.
    Raises StoreInUse, StoreIncompatible, StoreUnavailable, or ValueError for another URL.
    """
    async with AsyncExitStack() as stack:
        match parse_url(url):
            case InFile(path):
                lock = await asyncio.to_thread(take, path)
                stack.callback(os.close, lock)
                writing = await stack.enter_async_context(writing_in_process(path, durable=True, lock=lock))
            case InMemory():
                path = Path(stack.enter_context(TemporaryDirectory(prefix="comby-"))) / "store.db"
                writing = await stack.enter_async_context(writing_in_thread(path, durable=False))
        readers = tuple([await stack.enter_async_context(_reader(path, number)) for number in range(READERS)])
        session = Session(statements=Statements(), writing=writing, readers=readers)
        yield Store(
            events=SqliteEventStore(session),
            commands=SqliteCommandStore(session),
            snapshots=SqliteSnapshotStore(session),
            checkpoints=SqliteCheckpointStore(session),
            read_models=SqliteReadModelStore(session),
        )


@asynccontextmanager
async def _reader(path: Path, number: int) -> AsyncIterator[Reader]:
    with working(f"comby-store-reader-{number}") as worker:
        connection = await worker.run(lambda: open_reader(path))
        try:
            yield Reader(worker, connection)
        finally:
            await worker.run(connection.close)
