"""Opens and closes a store in SQLite."""

import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from comby.server.domain.identity import LogIdentity
from comby.server.ports.store import Store
from comby.server.stores.sqlite.checkpoint_store import SqliteCheckpointStore
from comby.server.stores.sqlite.command_store import SqliteCommandStore
from comby.server.stores.sqlite.connection import configure_writer, open_reader, open_writer, prepare_writer
from comby.server.stores.sqlite.event_store import SqliteEventStore
from comby.server.stores.sqlite.location import InFile, InMemory, parse_url
from comby.server.stores.sqlite.lock import locked
from comby.server.stores.sqlite.migrations import migrate, refuse_incompatible
from comby.server.stores.sqlite.read_model_store import SqliteReadModelStore
from comby.server.stores.sqlite.session import Reader, Session
from comby.server.stores.sqlite.snapshot_store import SqliteSnapshotStore
from comby.server.stores.sqlite.statements import Statements
from comby.server.stores.sqlite.worker import Worker, working
from comby.server.stores.sqlite.writer import Writer

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
                durable = True
            case InMemory():
                path = Path(stack.enter_context(TemporaryDirectory(prefix="comby-"))) / "store.db"
                durable = False
        yield await _enter(stack, path, durable=durable)


async def _enter(stack: AsyncExitStack, path: Path, *, durable: bool) -> Store:
    stack.enter_context(locked(path))
    statements = Statements()
    writing = stack.enter_context(working("comby-store-writer"))
    opened = await stack.enter_async_context(_writer(writing, path, statements, durable=durable))
    readers = tuple([await stack.enter_async_context(_reader(path, number)) for number in range(READERS)])
    session = Session(statements=statements, writer=opened.writer, writing=writing, readers=readers)
    return Store(
        events=SqliteEventStore(session, identity=opened.identity, unclean=opened.unclean),
        commands=SqliteCommandStore(session),
        snapshots=SqliteSnapshotStore(session),
        checkpoints=SqliteCheckpointStore(session),
        read_models=SqliteReadModelStore(session),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    writer: Writer
    identity: LogIdentity
    unclean: bool


@asynccontextmanager
async def _writer(worker: Worker, path: Path, statements: Statements, *, durable: bool) -> AsyncIterator[_Opened]:
    opened = await worker.run(lambda: _open_for_writing(path, statements, durable=durable))
    try:
        yield opened
    finally:
        await worker.run(opened.writer.close)


@asynccontextmanager
async def _reader(path: Path, number: int) -> AsyncIterator[Reader]:
    with working(f"comby-store-reader-{number}") as worker:
        connection = await worker.run(lambda: open_reader(path))
        try:
            yield Reader(worker, connection)
        finally:
            await worker.run(connection.close)


def _open_for_writing(path: Path, statements: Statements, *, durable: bool) -> _Opened:
    connection = open_writer(path)
    try:
        refuse_incompatible(connection, path)
        configure_writer(connection, path, durable=durable)
        migrate(connection)
        identity = {"log_id": str(uuid.uuid4()), "incarnation": str(uuid.uuid4())}
        connection.execute(statements["insert_log"], identity)
        log_id, incarnation, clean = connection.execute(statements["identify"]).get
        connection.execute(statements["mark_clean"], {"clean": False})
        prepare_writer(connection)
        return _Opened(
            writer=Writer(connection, path, statements),
            identity=LogIdentity(log_id, incarnation),
            unclean=not clean,
        )
    except BaseException:
        connection.close()
        raise
