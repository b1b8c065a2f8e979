"""The one writer: decides a batch, writes it with one statement, and remembers what it wrote; in its own thread."""

import json
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import apsw

from comby.server.domain.identity import AggregateKey, CommandKey, Position
from comby.server.ports.command_store import CommandStatus, StoredCommand
from comby.server.ports.event_store import FinishCommand, RefreshState, Verdict, Write
from comby.server.stores.sqlite.batch import Batch
from comby.server.stores.sqlite.connection import BUSY_MILLISECONDS
from comby.server.stores.sqlite.decisions import command_key, decide
from comby.server.stores.sqlite.memory import Guard, Memory
from comby.server.stores.sqlite.packed import unpack_commands
from comby.server.stores.sqlite.plan import CommandEntry, begin
from comby.server.stores.sqlite.statements import Statements

ResultT = TypeVar("ResultT")

log = logging.getLogger("comby.store")

WAL_BYTES = 64 * 1024 * 1024  # above it the log beside the file is written back and cut
TRIM_WAIT_MILLISECONDS = 50  # for readers; a backup takes longer, then the log is cut the next time
BATCHES_BETWEEN_LOOKS = 64  # at the size of that log


class Writer:
    """Owns the connection that writes. Its methods are called in the writer's thread only."""

    def __init__(self, connection: apsw.Connection, path: Path, statements: Statements) -> None:
        self._connection = connection
        self._wal = Path(f"{path}-wal")
        self._sql = statements
        self._memory: Memory | None = None
        self.head = Position(self._recalled().head)
        """The last committed position; may be read in any thread."""

    def commit(self, writes: Sequence[Write]) -> list[Verdict]:
        """Decide and write a batch; everything is on disk when it returns."""
        memory = self._recalled()
        commands, guards = self._look_up(memory, writes)
        plan = begin(
            memory,
            guards=guards,
            commands=commands,
            load=self._load,
            now=time.time_ns() // 1000,
        )
        verdicts = [decide(plan, write) for write in writes]
        batch = plan.complete(memory.batch + 1)
        if batch:
            self._write(batch, memory.batch + 1)
            memory.batch += 1
            memory.head, memory.accept_seq, memory.recorded_at = (
                plan.head,
                plan.accept_seq,
                plan.now,
            )
            memory.consumers = plan.consumers
            memory.remember(plan.guards)
            if plan.stamps:
                memory.stamps |= plan.stamps
            self.head = Position(plan.head)
            self._trim_wal(memory)
        return verdicts

    def change(self, work: Callable[[apsw.Connection], ResultT]) -> ResultT:
        """Run statements that touch nothing of what the writer remembers, in a transaction of their own."""
        try:
            self._connection.execute("begin immediate")
            result = work(self._connection)
            self._connection.execute("commit")
        except BaseException:
            self._memory = None
            raise
        return result

    def change_consumers(self, work: Callable[[apsw.Connection], ResultT]) -> ResultT:
        """Run statements that change consumers."""
        self._memory = None
        return self.change(work)

    def rewrite(self, batch: Batch) -> None:
        """Write items that need no decision."""
        memory = self._recalled()
        number = memory.batch + 1
        batch.add("count_batch", batch=number)
        self._write(batch, number)
        memory.batch = number

    def close(self) -> None:
        """Note that the store was closed in order, and close the connection, which writes the log back."""
        try:
            self._connection.execute(self._sql["mark_clean"], {"clean": True})
        finally:
            self._connection.close()

    def _look_up(
        self, memory: Memory, writes: Sequence[Write]
    ) -> tuple[dict[CommandKey, CommandEntry], dict[AggregateKey, Guard]]:
        keys = {key for write in writes if (key := command_key(write)) is not None}
        aggregates = {key for write in writes for key in _aggregates(write)}
        missing = [key for key in aggregates if key not in memory.guards]
        if not keys and not missing:
            return {}, memory.guards
        commands, guards = self._connection.execute(
            self._sql["look_up"],
            {
                "commands": json.dumps([(key.tenant_id, key.request_id) for key in keys]),
                "aggregates": json.dumps([(key.tenant_id, key.domain, key.aggregate_id) for key in missing]),
            },
        ).get
        found = {AggregateKey(*key): (version, bool(closed)) for *key, version, closed in json.loads(guards)}
        found.update((key, memory.guards[key]) for key in aggregates if key in memory.guards)
        return {entry.key: entry for entry in map(_entry, json.loads(commands))}, found

    def _load(self, key: CommandKey) -> StoredCommand:
        keys = json.dumps([(key.tenant_id, key.request_id)])
        return unpack_commands(*self._connection.execute(self._sql["get_commands"], {"keys": keys}).get)[0]

    def _write(self, batch: Batch, number: int) -> None:
        try:
            self._connection.execute(self._sql["write_batch"], batch.bindings())
        except BaseException as error:
            self._memory = None
            if not (isinstance(error, apsw.Error) and self._recalled().batch == number):
                raise
            log.warning("a commit that failed turned out to be stored: %s", type(error).__name__)
            self._memory = None

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

    def _trim_wal(self, memory: Memory) -> None:
        if memory.batch % BATCHES_BETWEEN_LOOKS:
            return
        try:
            if self._wal.stat().st_size > WAL_BYTES:
                self._connection.set_busy_timeout(TRIM_WAIT_MILLISECONDS)
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except (apsw.Error, OSError) as error:
            log.warning("the write-ahead log could not be cut: %s", type(error).__name__)
        finally:
            self._connection.set_busy_timeout(BUSY_MILLISECONDS)


def _aggregates(write: Write) -> tuple[AggregateKey, ...]:
    match write:
        case FinishCommand():
            return tuple(check.key for check in write.checks)
        case RefreshState():
            return (write.key,)
        case _:
            return ()


def _entry(item: tuple[str, str, int, str, int]) -> CommandEntry:
    tenant_id, request_id, accept_seq, status, attempts = item
    return CommandEntry(
        key=CommandKey(tenant_id, request_id),
        accept_seq=accept_seq,
        status=CommandStatus(status),
        attempts=attempts,
    )
