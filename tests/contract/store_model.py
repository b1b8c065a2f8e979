"""What EventStore and CommandStore must answer, as simply as it can be said: dictionaries and a list."""

from dataclasses import dataclass, field, replace

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, NewCommand, StoredCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    Committed,
    EventFilter,
    FinishCommand,
    NewEvent,
    RetryCommand,
    StartCommand,
    Verdict,
    VersionConflict,
    Violation,
    Write,
)

Answer = Verdict | StoredCommand | None
Found = tuple[int, AggregateKey, Version, str, bytes]
ACCEPTED, PARKED = CommandStatus.ACCEPTED, CommandStatus.PARKED


def comparable(answer: Answer, *, numbered: bool = False) -> Answer:
    """Blank what only the store knows: times, and unless `numbered` the numbers that order commands."""
    match answer:
        case StoredCommand():
            finished_at = None if answer.finished_at is None else 0
            return replace(
                answer, accept_seq=answer.accept_seq if numbered else 0, accepted_at=0, finished_at=finished_at
            )
        case CommandAccepted(accept_seq):
            return CommandAccepted(accept_seq if numbered else 0, 0)
        case Committed():
            return replace(answer, recorded_at=0)
        case CommandKnown(stored) | CommandMoved(stored):
            return type(answer)(_blank(stored, numbered))
        case CommandNotOpen(stored):
            return CommandNotOpen(None if stored is None else _blank(stored, numbered))
        case _:
            return answer


def _blank(stored: StoredCommand, numbered: bool) -> StoredCommand:
    blanked = comparable(stored, numbered=numbered)
    assert isinstance(blanked, StoredCommand)
    return blanked


@dataclass
class StoreModel:
    """Decides one request at a time. The order of `commands` is that of acceptance."""

    log: list[NewEvent] = field(default_factory=list)
    aggregates: dict[AggregateKey, tuple[int, bool]] = field(default_factory=dict)
    commands: dict[CommandKey, StoredCommand] = field(default_factory=dict)

    def decide(self, write: Write) -> Answer:
        match write:
            case AcceptCommand(command=new):
                if new.key in self.commands:
                    return CommandKnown(self.commands[new.key])
                self.commands[new.key] = _stored(new)
                return CommandAccepted(0, 0)
            case StartCommand(key=key):
                return self._start(key)
            case FinishCommand():
                return self._finish(write)
            case CancelCommand(key=key, outcome=outcome):
                return self._cancel(key, outcome)
            case RetryCommand(key=key):
                return self._retry(key)
            case _:
                raise NotImplementedError(write)

    def _start(self, key: CommandKey) -> Verdict:
        stored = self.commands.get(key)
        if stored is None or stored.status is not ACCEPTED:
            return CommandNotOpen(stored)
        self.commands[key] = replace(stored, attempts=stored.attempts + 1)
        return CommandStarted(stored.attempts + 1)

    def _cancel(self, key: CommandKey, outcome: bytes) -> Verdict:
        stored = self.commands.get(key)
        if stored is None or not (stored.status is PARKED or (stored.status is ACCEPTED and stored.attempts == 0)):
            return CommandNotOpen(stored)
        self.commands[key] = replace(stored, status=CommandStatus.CANCELLED, outcome=outcome, finished_at=0)
        return CommandMoved(self.commands[key])

    def _retry(self, key: CommandKey) -> Verdict:
        stored = self.commands.get(key)
        if stored is None or stored.status is not PARKED:
            return CommandNotOpen(stored)
        del self.commands[key]
        self.commands[key] = replace(
            stored,
            status=ACCEPTED,
            attempts=0,
            finished_at=None,
            version=Version(0),
            position=Position(0),
            outcome=b"",
        )
        return CommandMoved(self.commands[key])

    def _finish(self, write: FinishCommand) -> Verdict:
        match write.command:
            case NewCommand() as new:
                if new.key in self.commands:
                    return CommandKnown(self.commands[new.key])
                stored = _stored(new)
            case CommandKey() as key:
                found = self.commands.get(key)
                if found is None or found.status is not ACCEPTED:
                    return CommandNotOpen(found)
                stored = found
        violations = tuple(
            Violation(entry.key, entry.version, Version(self._version(entry.key)))
            for entry in write.checks
            if entry.version != self._version(entry.key)
        )
        if violations:
            return VersionConflict(violations)
        for appended in write.events:
            self.log.append(appended)
            self.aggregates[appended.key] = (appended.version, self.aggregates.get(appended.key, (0, False))[1])
        for closed in write.closes:
            self.aggregates[closed] = (self._version(closed), True)
        last = Position(len(self.log) if write.events else 0)
        self.commands[stored.key] = replace(
            stored, status=write.status, outcome=write.outcome, version=write.version, position=last, finished_at=0
        )
        return Committed(last, 0)

    def _version(self, key: AggregateKey) -> int:
        return self.aggregates.get(key, (0, False))[0]

    def read(self, filter: EventFilter, *, after: int, limit: int, backwards: bool) -> tuple[list[Found], int]:
        entries = list(enumerate(self.log, start=1))
        if backwards:
            entries = [entry for entry in reversed(entries) if not after or entry[0] < after]
        else:
            entries = [entry for entry in entries if entry[0] > after]
        found = [
            (position, entry.key, entry.version, entry.type, entry.record)
            for position, entry in entries
            if _matches(filter, entry)
        ][:limit]
        if len(found) == limit:
            return found, found[-1][0]
        return found, min(1, len(self.log)) if backwards else len(self.log)

    def positions_of(self, key: AggregateKey, after: int) -> list[int]:
        return [
            position for position, entry in enumerate(self.log, start=1) if entry.key == key and entry.version > after
        ]

    def listed(self, tenant_id: str, statuses: frozenset[CommandStatus]) -> list[StoredCommand]:
        return [
            stored
            for stored in reversed(self.commands.values())
            if stored.key.tenant_id == tenant_id and (not statuses or stored.status in statuses)
        ]

    def open(self, due: int) -> list[StoredCommand]:
        return [
            stored
            for stored in self.commands.values()
            if stored.status is ACCEPTED and (stored.not_before is None or stored.not_before <= due)
        ]

    def next_due(self, after: int) -> int | None:
        times = [
            stored.not_before
            for stored in self.commands.values()
            if stored.status is ACCEPTED and stored.not_before is not None and stored.not_before > after
        ]
        return min(times, default=None)

    def count_open(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for stored in self.commands.values():
            if stored.status is ACCEPTED:
                counts[stored.key.tenant_id] = counts.get(stored.key.tenant_id, 0) + 1
        return counts


def _matches(filter: EventFilter, entry: NewEvent) -> bool:
    return (
        (filter.tenant_id is None or filter.tenant_id == entry.key.tenant_id)
        and (not filter.domains or entry.key.domain in filter.domains)
        and (not filter.types or entry.type in filter.types)
        and (filter.aggregate is None or filter.aggregate == entry.key)
    )


def _stored(new: NewCommand) -> StoredCommand:
    return StoredCommand(
        key=new.key,
        aggregate=new.aggregate,
        accept_seq=0,
        partition=new.partition,
        fingerprint=new.fingerprint,
        type=new.type,
        command=new.command,
        context=new.context,
        expected_version=new.expected_version,
        not_before=new.not_before,
        status=ACCEPTED,
        attempts=new.attempts,
        accepted_at=0,
        finished_at=None,
        version=Version(0),
        position=Position(0),
        outcome=b"",
    )
