"""A batch being decided: what is stored, as changed by the requests before, and what is to be written.

Nothing is written here, so a refused request leaves no trace; the writer writes everything when every request has its
verdict.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, NewCommand, StoredCommand
from comby.server.ports.elements import time_field
from comby.server.ports.read_model_store import DeleteRow, PutRow
from comby.server.stores.sqlite.batch import Batch
from comby.server.stores.sqlite.memory import UNKNOWN, Guard, Memory, RowKey


class Changes(TypedDict, total=False):
    """What a batch changed of a command."""

    accept_seq: int
    status: CommandStatus
    attempts: int
    finished_at: int | None
    version: Version
    position: Position
    outcome: bytes


@dataclass(slots=True)
class CommandEntry:
    """A command as it stands at this point of the batch; `new` where the batch itself inserts it."""

    key: CommandKey
    accept_seq: int
    status: CommandStatus
    attempts: int
    new: NewCommand | None = None
    changes: Changes = field(default_factory=Changes)

    def move(self, changes: Changes) -> None:
        """Note changes, for the requests that follow."""
        self.changes.update(changes)
        self.accept_seq = changes.get("accept_seq", self.accept_seq)
        self.status = changes.get("status", self.status)
        self.attempts = changes.get("attempts", self.attempts)


@dataclass(slots=True, kw_only=True)
class Plan:
    """Decides the requests of one batch in their order; see `decisions.py`."""

    now: int
    head: int
    accept_seq: int
    stored_guards: Mapping[AggregateKey, Guard]
    commands: dict[CommandKey, CommandEntry]
    consumers: dict[tuple[str, int], int]
    load: Callable[[CommandKey], StoredCommand]
    known_stamps: frozenset[tuple[str, str]]
    time: bytes
    batch: Batch = field(default_factory=Batch)
    stamps: set[tuple[str, str]] = field(default_factory=set)
    guards: dict[AggregateKey, Guard] = field(default_factory=dict)
    rows: dict[RowKey, PutRow | DeleteRow] = field(default_factory=dict)

    def guard(self, key: AggregateKey) -> Guard:
        """Return an aggregate's version, and whether it is closed."""
        return self.guards.get(key) or self.stored_guards.get(key, UNKNOWN)

    def next_position(self) -> Position:
        """Give the next position."""
        self.head += 1
        return Position(self.head)

    def next_accept_seq(self) -> int:
        """Give the place at the tail of the accepted commands."""
        self.accept_seq += 1
        return self.accept_seq

    def change_row(self, row: PutRow | DeleteRow) -> None:
        """Write or delete a row; the last change of a row in the batch is the one that counts."""
        self.rows[row.model, row.tenant_id, row.key] = row

    def stored(self, entry: CommandEntry) -> StoredCommand:
        """Return a command as it stands at this point of the batch."""
        base = self.load(entry.key) if entry.new is None else self._inserted(entry.new, entry)
        return replace(base, **entry.changes)

    def _inserted(self, new: NewCommand, entry: CommandEntry) -> StoredCommand:
        return StoredCommand(
            key=new.key,
            aggregate=new.aggregate,
            accept_seq=entry.accept_seq,
            partition=new.partition,
            fingerprint=new.fingerprint,
            type=new.type,
            command=new.command,
            context=new.context,
            expected_version=new.expected_version,
            not_before=new.not_before,
            status=entry.status,
            attempts=entry.attempts,
            accepted_at=self.now,
            finished_at=None,
            version=Version(0),
            position=Position(0),
            outcome=b"",
        )

    def complete(self) -> None:
        """Add what is written once for the whole batch but its rows: closed aggregates, and stamps."""
        for key, (_, closed) in self.guards.items():
            if closed:
                self.batch.add("close_aggregate", key)
        self.stamps = {(row.model, row.stamp) for row in self.rows.values() if isinstance(row, PutRow)}
        for noted in self.stamps - self.known_stamps:
            self.batch.add("note_stamp", noted)


def begin(
    memory: Memory,
    *,
    guards: Mapping[AggregateKey, Guard],
    commands: dict[CommandKey, CommandEntry],
    load: Callable[[CommandKey], StoredCommand],
    now: int,
) -> Plan:
    """Begin a plan where the memory stands; the plan changes copies only."""
    recorded_at = max(now, memory.recorded_at)
    return Plan(
        now=recorded_at,
        time=time_field(recorded_at),
        head=memory.head,
        accept_seq=memory.accept_seq,
        stored_guards=guards,
        commands=commands,
        consumers=dict(memory.consumers),
        load=load,
        known_stamps=memory.stamps,
    )
