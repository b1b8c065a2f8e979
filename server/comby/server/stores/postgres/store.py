"""Opens and closes a store in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from comby.server.ports.errors import StoreError
from comby.server.ports.store import Store
from comby.server.stores.postgres.checkpoint_store import PostgresCheckpointStore
from comby.server.stores.postgres.command_store import PostgresCommandStore
from comby.server.stores.postgres.connection import Connection, connect
from comby.server.stores.postgres.connector import Connector
from comby.server.stores.postgres.event_store import PostgresEventStore
from comby.server.stores.postgres.failures import DRIVER_ERRORS, refused
from comby.server.stores.postgres.identity import recognise
from comby.server.stores.postgres.migrations import migrate
from comby.server.stores.postgres.read_model_store import PostgresReadModelStore
from comby.server.stores.postgres.readers import Readers
from comby.server.stores.postgres.requirements import check_server
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.snapshot_store import PostgresSnapshotStore
from comby.server.stores.postgres.statements import Statements
from comby.server.stores.postgres.writer import Writer


@asynccontextmanager
async def open_postgres(url: str, *, sender: str | None = None) -> AsyncIterator[Store]:
    """Open the store of a URL, and create its schema if it is missing.

    URLs are those of libpq, `postgresql://user:password@host:port/database?sslmode=verify-full&sslrootcert=…`. With a `sender` each commit
    that others may wait for is announced by a notification in that name, see `PostgresBroker`. Raises StoreIncompatible and
    StoreUnavailable.
    """
    async with AsyncExitStack() as stack:
        connector = Connector(url)
        connection = await _connect(url)
        try:
            await check_server(connection)
            await migrate(connection)
            identity = await recognise(connection)
        except (*DRIVER_ERRORS, StoreError) as error:
            connection.terminate()
            raise error if isinstance(error, StoreError) else refused(error) from None
        sql = Statements()
        writer = Writer(connector, connection, sql, identity, sender)
        stack.push_async_callback(writer.close)
        readers = Readers(connector)
        stack.push_async_callback(readers.close)
        session = Session(sql=sql, writer=writer, readers=readers)
        yield Store(
            events=PostgresEventStore(session),
            commands=PostgresCommandStore(session),
            snapshots=PostgresSnapshotStore(session),
            checkpoints=PostgresCheckpointStore(session),
            read_models=PostgresReadModelStore(session),
        )


async def _connect(url: str) -> Connection:
    try:
        return await connect(url)
    except DRIVER_ERRORS as error:
        raise refused(error) from None
