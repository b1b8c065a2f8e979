"""Opens and closes a store in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from comby.server.ports.errors import StoreError
from comby.server.ports.store import Store
from comby.server.stores.postgres.checkpoint_store import PostgresCheckpointStore
from comby.server.stores.postgres.command_store import PostgresCommandStore
from comby.server.stores.postgres.connection import Connection, close, connect
from comby.server.stores.postgres.connector import Connector
from comby.server.stores.postgres.event_store import PostgresEventStore
from comby.server.stores.postgres.failures import DRIVER_ERRORS, refused
from comby.server.stores.postgres.identity import recognise
from comby.server.stores.postgres.instance_store import PostgresInstanceStore
from comby.server.stores.postgres.migrations import migrate
from comby.server.stores.postgres.read_model_store import PostgresReadModelStore
from comby.server.stores.postgres.readers import Readers
from comby.server.stores.postgres.requirements import check_server
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.snapshot_store import PostgresSnapshotStore
from comby.server.stores.postgres.statements import Statements, statement
from comby.server.stores.postgres.vacuum import HeldBack, vacuum_held_back
from comby.server.stores.postgres.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresStore(Store):
    """The ports onto one database, and what only PostgreSQL is asked for."""

    session: Session

    async def vacuum_held_back(self) -> HeldBack | None:
        """Return the oldest snapshot that holds vacuum back, if there is any. Raises StoreUnavailable."""
        return await vacuum_held_back(self.session)


@asynccontextmanager
async def open_postgres(url: str, *, sender: str | None = None) -> AsyncIterator[PostgresStore]:
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
            await connection.execute(statement("forget_batches"))
        except (*DRIVER_ERRORS, StoreError) as error:
            connection.terminate()
            raise error if isinstance(error, StoreError) else refused(error) from None
        sql = Statements()
        writer = Writer(connector, connection, sql, identity, sender)
        stack.push_async_callback(writer.close)
        readers = Readers(connector)
        stack.push_async_callback(readers.close)
        session = Session(sql=sql, writer=writer, readers=readers)
        yield PostgresStore(
            session=session,
            events=PostgresEventStore(session),
            commands=PostgresCommandStore(session),
            snapshots=PostgresSnapshotStore(session),
            checkpoints=PostgresCheckpointStore(session),
            read_models=PostgresReadModelStore(session),
            instances=PostgresInstanceStore(session),
        )


async def renew_incarnation(url: str) -> str:
    """Begin a new incarnation of a log, and return it: for operators, after a restore that is not recognised, such as that of a disk.

    Instances that are running have to be started again. Raises StoreIncompatible and StoreUnavailable.
    """
    connection = await _connect(url)
    try:
        return str(await connection.fetchval(statement("renew_incarnation")))
    except DRIVER_ERRORS as error:
        raise refused(error) from None
    finally:
        await close(connection)


async def _connect(url: str) -> Connection:
    try:
        return await connect(url)
    except DRIVER_ERRORS as error:
        raise refused(error) from None
