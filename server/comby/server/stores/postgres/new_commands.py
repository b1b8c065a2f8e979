"""A batch of nothing but new commands that end with it, as the arguments of `comby.append_new`: nearly all batches are that.

What it holds goes as few arguments, which is what a small batch costs: literals of arrays of records, and all bytes as one.
"""

from collections.abc import Sequence, Set

from comby.server.domain.identity import AggregateKey, Position, Version
from comby.server.ports.command_store import NewCommand
from comby.server.ports.contradictions import versions_after
from comby.server.ports.event_store import Committed, Fence, FinishCommand, Verdict, Write
from comby.server.ports.read_model_store import PutRow, refuse_long_key
from comby.server.stores.postgres.literals import Argument, Record, numbers, quoted, records
from comby.server.stores.postgres.row_entries import joined


class NewCommands:
    """Collects such requests. What a batch has in common comes once: an aggregate that several move, and a row that several write."""

    def __init__(self, noted: Set[tuple[str, str]]) -> None:
        """`noted` are the models and stamps that the database has been told of."""
        self._noted = noted
        self._commands: dict[tuple[str, str], Record] = {}
        self._moved: dict[AggregateKey, tuple[Version, Version]] = {}
        self._events: list[Record] = []
        self._rows: dict[tuple[str, str, str], Record] = {}
        self._entries: dict[tuple[str, str, str], str] = {}
        self._epochs: dict[int, int] = {}
        self._contents: list[bytes] = []
        self._end = 1
        self._last_events: list[int] = []

    def add(self, write: FinishCommand, new: NewCommand) -> bool:
        """Add a request, and tell whether it fits: one that does not makes this another kind of batch.

        Raises ValueError for a request that contradicts itself.
        """
        after = versions_after(write)
        if write.closes or new.key in self._commands or not self._fits(write.fence):
            return False
        moved = self._moved
        for check in write.checks:
            key = check.key
            known = moved.get(key)
            if known is None:
                moved[key] = (check.version, after[key])
            elif known[1] == check.version:
                moved[key] = (known[0], after[key])
            else:
                return False
        events = self._events
        for event in write.events:
            at, end = self._add(event.record)
            events.append((*event.key, event.type, event.request_id, event.version, at, end))
        for state in write.states:
            if not self._put(state):
                return False
        last_event = len(events) if write.events else 0
        self._last_events.append(last_event)
        self._contents += new.fingerprint, new.context, write.outcome, new.command
        fingerprint_at = self._end
        context_at = fingerprint_at + len(new.fingerprint)
        outcome_at = context_at + len(new.context)
        command_at = outcome_at + len(write.outcome)
        self._end = end = command_at + len(new.command)
        self._commands[new.key] = (
            *new.key,
            new.aggregate.domain,
            new.aggregate.aggregate_id,
            new.type,
            write.status.value,
            new.partition,
            _optional(new.expected_version),
            _optional(new.not_before),
            new.attempts,
            write.version,
            write.fence is not None and not write.fence.first,
            last_event,
            fingerprint_at,
            context_at,
            outcome_at,
            command_at,
            end,
        )
        return True

    def arguments(self) -> list[Argument]:
        """Return what follows the writer, the number, the incarnation and the sender."""
        return [
            numbers(self._epochs),
            numbers(self._epochs.values()),
            records(self._commands.values(), 6),
            records([(*key, *versions) for key, versions in self._moved.items()], 3),
            records(self._events, 5),
            records(self._rows.values(), 4),
            quoted(list(self._entries.values())),
            b"".join(self._contents),
        ]

    def verdicts(self, head: Position, recorded_at: int) -> list[Verdict]:
        """Return the verdicts where the batch was written, as the head after it tells."""
        before = head - len(self._events)
        return [Committed(Position(before + last if last else 0), recorded_at) for last in self._last_events]

    def _fits(self, fence: Fence | None) -> bool:
        return fence is None or self._epochs.setdefault(fence.partition, fence.epoch) == fence.epoch

    def _put(self, row: PutRow) -> bool:
        refuse_long_key(row.key)
        if (row.model, row.stamp) not in self._noted:
            return False
        name = (row.model, row.tenant_id, row.key)
        self._rows[name] = (*name, row.stamp, row.version, *self._add(row.row))
        self._entries[name] = joined(row.fields)
        return True

    def _add(self, content: bytes) -> tuple[int, int]:
        """Add bytes, and return where they begin and end among all."""
        begin = self._end
        self._contents.append(content)
        self._end = end = begin + len(content)
        return begin, end


def _optional(number: int | None) -> int | str:
    return "" if number is None else number


def new_commands(writes: Sequence[Write], noted: Set[tuple[str, str]]) -> tuple[NewCommands, list[Argument]] | None:
    """Return a batch and its arguments; None where it is of another kind, which is `Batch`.

    Raises ValueError for a request that contradicts itself.
    """
    batch = NewCommands(noted)
    for write in writes:
        if (
            type(write) is not FinishCommand
            or type(write.command) is not NewCommand
            or not batch.add(write, write.command)
        ):
            return None
    return batch, batch.arguments()
