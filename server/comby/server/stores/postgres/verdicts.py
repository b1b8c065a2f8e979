"""What `comby.append` answered, as the verdicts of the port."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import asyncpg

from comby.server.domain.identity import CommandKey, Position, Version
from comby.server.ports.checkpoint_store import Advanced, CheckpointMoved
from comby.server.ports.command_store import StoredCommand
from comby.server.ports.event_store import (
    Behind,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    Committed,
    Fenced,
    Refreshed,
    Verdict,
    VersionConflict,
    Violation,
)
from comby.server.stores.postgres import codes
from comby.server.stores.postgres.batch import Batch

Commands: TypeAlias = Mapping[CommandKey, StoredCommand]


class Answer:
    """One answer of the append, read for the batch that it is about."""

    def __init__(self, batch: Batch, record: asyncpg.Record) -> None:
        self.head = Position(record["head"])
        self._batch = batch
        self._record = record
        self._recorded_at: int = record["recorded"]
        keys = list(batch.commands)
        self.shown: list[CommandKey] = [keys[ordinal - 1] for ordinal in record["shown_commands"] or ()]
        """The commands that the verdicts show; what never changes of them is to be read."""

    def verdicts(self, commands: Commands) -> list[Verdict]:
        """Return the verdicts, given what is stored of the commands that they show."""
        at = self._recorded_at
        pairs = zip(self._record["verdicts"], self._record["numbers"], strict=True)
        return [
            Committed(value, at) if code == codes.COMMITTED else self._verdict(number, code, value, commands)
            for number, (code, value) in enumerate(pairs, start=1)
        ]

    def _verdict(self, number: int, code: int, value: int | None, commands: Commands) -> Verdict:
        match code:
            case codes.ACCEPTED:
                return CommandAccepted(value or 0, self._recorded_at)
            case codes.KNOWN:
                return CommandKnown(self._shown(value or 0, commands))
            case codes.STARTED:
                return CommandStarted(value or 0)
            case codes.NOT_OPEN:
                return CommandNotOpen(None if value is None else self._shown(value, commands))
            case codes.MOVED:
                return CommandMoved(self._shown(value or 0, commands))
            case codes.CONFLICT:
                return VersionConflict(self._violations(number))
            case codes.REFRESHED:
                return Refreshed(value == 1)
            case codes.ADVANCED:
                return Advanced()
            case codes.CHECKPOINT_MOVED:
                return CheckpointMoved(None if value is None else Position(value))
            case codes.FENCED:
                return Fenced()
            case codes.BEHIND:
                return Behind()
        raise AssertionError(f"the append answered {code}")

    def _shown(self, ordinal: int, commands: Commands) -> StoredCommand:
        """Return a command as it stood when its request was decided, which later ones of the batch may have moved."""
        record, place = self._record, ordinal - 1
        return replace(
            commands[self.shown[place]],
            accept_seq=record["shown_sequences"][place],
            status=codes.STATUSES[record["shown_statuses"][place] - 1],
            attempts=record["shown_attempts"][place],
            finished_at=record["shown_finished"][place],
            version=Version(record["shown_versions"][place]),
            position=Position(record["shown_positions"][place]),
            outcome=record["shown_outcomes"][place],
        )

    def _violations(self, number: int) -> tuple[Violation, ...]:
        ordinals = self._batch.check_ordinals(number)
        failed = zip(self._record["conflict_checks"], self._record["conflict_actuals"], strict=True)
        checks = ((self._batch.checks[ordinal - 1], actual) for ordinal, actual in failed if ordinal in ordinals)
        return tuple(Violation(check.key, check.version, Version(actual)) for check, actual in checks)
