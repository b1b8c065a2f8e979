"""The one connection that commits. A batch is one call of `comby.append_new`, or of `comby.append`; where its connection is lost, what became of
it is asked again."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence, Set

from comby.server.domain.identity import CommandKey, LogIdentity, Position
from comby.server.ports.command_store import StoredCommand
from comby.server.ports.errors import StoreError, StoreUnavailable
from comby.server.ports.event_store import Verdict, Write
from comby.server.stores.postgres.batch import Batch
from comby.server.stores.postgres.command_rows import key_arguments, read_commands
from comby.server.stores.postgres.connection import CLOSE_SECONDS, Connection, close
from comby.server.stores.postgres.connector import Connector
from comby.server.stores.postgres.failures import DRIVER_ERRORS, lost, refuse_unstorable, unavailable
from comby.server.stores.postgres.identity import recognise
from comby.server.stores.postgres.literals import Argument
from comby.server.stores.postgres.new_commands import NewCommands, new_commands
from comby.server.stores.postgres.requirements import check_server
from comby.server.stores.postgres.statements import Statements
from comby.server.stores.postgres.verdicts import Answer

log = logging.getLogger("comby.store")

SETTLE_SECONDS = 5.0
"""How long a batch whose connection was lost is asked about: a restart of the database fits in, and callers wait no longer."""
SETTLE_PAUSE_SECONDS = 0.1


class Writer:
    """Commits batches, one after the other; each is done even if its caller is cancelled."""

    def __init__(
        self, connector: Connector, connection: Connection, sql: Statements, identity: LogIdentity, sender: str | None
    ) -> None:
        self.identity = identity
        self._connector = connector
        self._connection: Connection | None = connection
        self._sql = sql
        self._sender = sender
        self.overheard = True
        """Whether others may listen to what is told of commits."""
        self._id = str(uuid.uuid4())
        self._number = 0
        self._noted: set[tuple[str, str]] = set()
        self._lock = asyncio.Lock()
        self._closed = False

    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        """Decide and write a batch; everything is on disk when it returns. Raises StoreUnavailable and ValueError."""
        pending = _Pending(writes, self._noted)  # made while the batch before is being written
        if not writes:
            return []
        return await asyncio.shield(self._commit(pending))

    @property
    def _told_by(self) -> str | None:
        """In whose name a commit is told; None: to nobody."""
        return self._sender if self.overheard else None

    async def close(self) -> None:
        """Wait a moment for the batch that is being written, and close the connection."""
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS), self._lock:
                if self._connection is not None:
                    await close(self._connection)
        except TimeoutError:
            self._drop()

    async def _commit(self, pending: "_Pending") -> list[Verdict]:
        async with self._lock:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._number += 1
            pending.numbered = (self._id, self._number, self.identity.incarnation, self._told_by)
            connection = await self._connected()
            try:
                return await self._append(connection, pending)
            except DRIVER_ERRORS as error:
                refuse_unstorable(error)
                self._drop()
                if not lost(error):
                    raise unavailable(error) from None
                log.warning("the connection was lost in a commit: %s", type(error).__name__)
            return await self._settle(pending)

    async def _settle(self, pending: "_Pending") -> list[Verdict]:
        """Send a batch again, by its number: what was decided is answered again, and what was not is decided now."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            try:
                verdicts = await self._append(await self._connected(), pending)
            except (*DRIVER_ERRORS, StoreUnavailable) as error:
                self._drop()
                if time.monotonic() > deadline:
                    log.error("what became of a batch of %d requests is not known", len(pending.writes))
                    raise unavailable(error) from None
            else:
                log.warning("a commit whose connection was lost is settled")
                return verdicts
            await asyncio.sleep(SETTLE_PAUSE_SECONDS)

    async def _append(self, connection: Connection, pending: "_Pending") -> list[Verdict]:
        if pending.new is not None:
            batch_of_new, arguments = pending.new
            record = await connection.fetchrow(self._sql["append_new"], *pending.numbered, *arguments)
            assert record is not None
            head, recorded_at = record
            if head is not None:
                return batch_of_new.verdicts(Position(head), recorded_at)
            # Something stands against one of them: nothing was written, and the number is free.
            pending.tried, pending.new = batch_of_new, None
        batch, arguments = pending.any()
        record = await connection.fetchrow(self._sql["append"], *pending.numbered, *arguments)
        assert record is not None
        if pending.tried is not None and not record["verdicts"]:
            # It was written as new commands, by a statement that came late.
            return pending.tried.verdicts(Position(record["head"]), record["recorded"])
        self._noted |= batch.rows.stamps
        answer = Answer(batch, record)
        return answer.verdicts(await self._stored(connection, answer.shown) if answer.shown else {})

    async def _stored(self, connection: Connection, keys: Sequence[CommandKey]) -> Mapping[CommandKey, StoredCommand]:
        rows = await connection.fetch(self._sql["get_commands"], *key_arguments(keys))
        return {command.key: command for command in read_commands(rows)}

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await self._connector.connect()
            try:
                await check_server(connection)
                await recognise(connection)
            except (*DRIVER_ERRORS, StoreError) as error:
                connection.terminate()
                raise unavailable(error) from None
            self._connection = connection
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
        self._connection = None


class _Pending:
    """A batch on its way, in the form in which it is sent: as new commands where it is that, and nothing was found to stand against it.

    Raises ValueError for a request that contradicts itself, before anything is sent.
    """

    def __init__(self, writes: Sequence[Write], noted: Set[tuple[str, str]]) -> None:
        self.writes = writes
        self.numbered: tuple[str, int, str, str | None]
        """The writer, the number, the incarnation and the sender."""
        self.new = new_commands(writes, noted)
        self.tried: NewCommands | None = None
        self._noted = noted
        self._any = self._as_any() if self.new is None else None

    def any(self) -> tuple[Batch, list[Argument]]:
        """Return the batch as any other, and its arguments."""
        if self._any is None:
            self._any = self._as_any()
        return self._any

    def _as_any(self) -> tuple[Batch, list[Argument]]:
        batch = Batch(self.writes, self._noted)
        return batch, batch.arguments()
