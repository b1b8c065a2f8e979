"""The one writer: decides a batch, writes it in one transaction, and remembers what it wrote. It blocks, and runs in a thread or a
process of its own."""

import json
import logging
import time
from collections.abc import Sequence
from pathlib import Path

import apsw

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.command_store import StoredCommand
from comby.server.ports.event_store import Verdict, Write
from comby.server.ports.read_model_store import DeleteRow
from comby.server.stores.sqlite.batch import MOVES, Batch, batch_statements
from comby.server.stores.sqlite.connection import BUSY_MILLISECONDS
from comby.server.stores.sqlite.decisions import decide
from comby.server.stores.sqlite.look_up import look_up
from comby.server.stores.sqlite.memory import Memory
from comby.server.stores.sqlite.packed import unpack_commands
from comby.server.stores.sqlite.plan import Plan, begin
from comby.server.stores.sqlite.recovery import recovered
from comby.server.stores.sqlite.row_changes import Changes, add_rows
from comby.server.stores.sqlite.statements import Statements
from comby.server.stores.sqlite.upkeep import UPKEEP, Plain, Upkeep

log = logging.getLogger("comby.store")

WAL_BYTES = 64 * 1024 * 1024  # above it the log beside the file is written back and cut
TRIM_WAIT_MILLISECONDS = 50  # for readers; a backup takes longer, then the log is cut the next time
BATCHES_BETWEEN_LOOKS = 64  # at the size of that log


class Writer:
    """Owns the connection that writes. Its methods are called in one thread only."""

    def __init__(self, connection: apsw.Connection, path: Path, statements: Statements) -> None:
        self._connection = connection
        self._wal = Path(f"{path}-wal")
        self._sql = statements
        self._batch_sql = batch_statements()
        self._memory: Memory | None = None
        self.head = Position(self._recalled().head)
        """The last committed position; may be read in any thread."""

    @property
    def batch(self) -> int:
        """The number of the last batch that is stored."""
        return self._recalled().batch

    def commit(self, writes: Sequence[Write], number: int | None = None) -> list[Verdict]:
        """Decide and write a batch; everything is on disk when it returns.

        `number` is above that of every batch before, and tells after a failure whether this one is stored.
        """
        memory = self._recalled()
        number = memory.batch + 1 if number is None else number
        try:
            self._connection.execute("begin immediate")
            commands, guards = look_up(self._connection, self._sql, memory, writes)
            plan = begin(memory, guards=guards, commands=commands, load=self._load, now=time.time_ns() // 1000)
            verdicts = [decide(plan, write) for write in writes]
            self._write(memory, plan, number)
        except BaseException as error:
            self._memory = None
            if not (isinstance(error, apsw.Error) and self._recalled().batch == number):
                raise
            log.warning("a commit that failed turned out to be stored: %s", type(error).__name__)
            self._memory = None
        self.head = Position(plan.head)
        self._trim_wal(number)
        return verdicts

    def recover(self, writes: Sequence[Write]) -> list[Verdict]:
        """Return the verdicts of a batch that is stored although nobody heard of it, as far as what is stored tells them."""
        memory = self._recalled()
        commands, guards = look_up(self._connection, self._sql, memory, writes)
        plan = begin(memory, guards=guards, commands=commands, load=self._load, now=memory.recorded_at)
        return [recovered(plan, write) for write in writes]

    def upkeep(self, name: Upkeep, *values: Plain) -> Plain:
        """Do one of the writes that need no decision, in a transaction of its own. Doing it again changes nothing more."""
        try:
            self._connection.execute("begin immediate")
            result = UPKEEP[name](self._connection, self._sql, *values)
            self._connection.execute("commit")
        except BaseException:
            self._memory = None
            raise
        if "consumer" in name:
            self._memory = None
        return result

    def drop_rows(self, model: str, limit: int) -> int:
        """Delete at most `limit` rows of a model, and return how many. Doing it again deletes further ones."""
        memory = self._recalled()
        try:
            self._connection.execute("begin immediate")
            names = {"model": model, "limit": limit}
            keys = json.loads(self._connection.execute(self._sql["some_row_keys"], names).get)
            batch = Batch()
            self._add_rows(
                batch, memory, {(model, *key): DeleteRow(model=model, tenant_id=key[0], key=key[1]) for key in keys}
            )
            self._run(batch)
            self._connection.execute("commit")
        except BaseException:
            self._memory = None
            raise
        return len(keys)

    def close(self) -> None:
        """Note that the store was closed in order, and close the connection, which writes the log back."""
        try:
            self._connection.execute(self._sql["mark_clean"], {"clean": True})
        finally:
            self._connection.close()

    def _load(self, key: CommandKey) -> StoredCommand:
        keys = json.dumps([(key.tenant_id, key.request_id)])
        return unpack_commands(*self._connection.execute(self._sql["get_commands"], {"keys": keys}).get)[0]

    def _write(self, memory: Memory, plan: Plan, number: int) -> None:
        """Write what was planned, with the batch's number, end the transaction, and remember it."""
        plan.complete()
        self._add_rows(plan.batch, memory, plan.rows)
        if plan.batch:
            plan.batch.add("count_batch", (number,))
            self._run(plan.batch)
        self._connection.execute("commit")
        if plan.batch:
            memory.batch, memory.head, memory.accept_seq = number, plan.head, plan.accept_seq
            memory.recorded_at, memory.consumers = plan.now, plan.consumers
            memory.stamps |= plan.stamps
            memory.remember(plan.guards)

    def _add_rows(self, batch: Batch, memory: Memory, changes: Changes) -> None:
        add_rows(batch, self._connection, self._sql["look_up_fields"], memory, changes)

    def _run(self, batch: Batch) -> None:
        connection = self._connection
        for statement, rows in batch:
            before = connection.total_changes()
            connection.executemany(self._batch_sql[statement], rows)
            if statement in MOVES and connection.total_changes() - before != len(rows):
                raise apsw.ConstraintError(f"{statement}: what was to be moved has moved")

    def _recalled(self) -> Memory:
        if self._memory is None:
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            batch, head, recorded_at, accept_seq, consumers = self._connection.execute(self._sql["recall"]).get
            self._memory = Memory(
                batch=batch,
                head=head,
                recorded_at=recorded_at,
                accept_seq=accept_seq,
                consumers={(name, generation): position for name, generation, position in json.loads(consumers)},
            )
        return self._memory

    def _trim_wal(self, number: int) -> None:
        if number % BATCHES_BETWEEN_LOOKS:
            return
        try:
            if self._wal.stat().st_size > WAL_BYTES:
                self._connection.set_busy_timeout(TRIM_WAIT_MILLISECONDS)
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.Error, OSError) as error:
            log.warning("the write-ahead log could not be cut: %s", type(error).__name__)
        finally:
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)
