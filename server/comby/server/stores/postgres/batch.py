"""A batch of requests as the arguments of `comby.append`: what they share is named once, and referred to by its ordinal.

This runs for every command in the one thread of Python: tuples that are transposed at the end cost least.
"""

from collections.abc import Callable, Sequence, Set
from typing import Any, TypeAlias

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.checkpoint_store import AdvanceConsumer
from comby.server.ports.command_store import NewCommand
from comby.server.ports.contradictions import versions_after
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    Fence,
    FinishCommand,
    RefreshState,
    RetryCommand,
    StartCommand,
    VersionCheck,
    Write,
)
from comby.server.stores.postgres import codes
from comby.server.stores.postgres.literals import Argument, columns, numbers, optional_numbers, texts
from comby.server.stores.postgres.row_changes import RowChanges
from comby.server.stores.postgres.waiting_changes import WaitingChanges

AsArgument: TypeAlias = Callable[[Any], Argument]


def _bytes(values: Sequence[bytes]) -> Sequence[bytes]:
    return values


_NEW_COMMAND: Sequence[AsArgument] = (
    numbers,  # the command's ordinal
    texts,  # its domain
    texts,  # and aggregate
    numbers,  # partition
    _bytes,  # fingerprint
    texts,  # type
    optional_numbers,  # expected version
    optional_numbers,  # not before
    numbers,  # attempts
    _bytes,  # context
    _bytes,  # command
)
_REQUEST: Sequence[AsArgument] = (
    *[numbers] * 5,  # kind, command, item, end, version
    _bytes,  # outcome
    *[numbers] * 4,  # fence, epoch, last check, last event
)
_EVENT: Sequence[AsArgument] = (numbers, numbers, numbers, texts, texts, _bytes)

_CHECK_END = 8
"""The place of `check_ends` in a request."""


class Batch:
    """Collects the requests of one batch. Raises ValueError for one that contradicts itself, before anything is sent.

    `noted` are the models and stamps that the database has been told of.
    """

    def __init__(self, writes: Sequence[Write], noted: Set[tuple[str, str]] = frozenset()) -> None:
        self.writes = writes
        self.commands: dict[CommandKey, int] = {}
        self.checks: list[VersionCheck] = []
        self._aggregates: dict[AggregateKey, int] = {}
        self._partitions: dict[int, int] = {}
        self._consumers: dict[tuple[str, int], int] = {}
        self._new_commands: list[tuple[Any, ...]] = []
        self._requests: list[tuple[Any, ...]] = []
        self._check_columns: list[tuple[Any, ...]] = []
        self._events: list[tuple[Any, ...]] = []
        self.rows = RowChanges(noted)
        self._advances: list[tuple[int, int, int]] = []
        self._waiting = WaitingChanges()
        for write in writes:
            _ADD[type(write)](self, write)

    def arguments(self) -> list[Argument]:
        """Return what follows the writer, the number, the incarnation and the sender."""
        found: list[Argument] = []
        found += map(texts, columns(list(self._aggregates), 3))
        found += map(texts, columns(list(self.commands), 2))
        found.append(numbers(self._partitions))
        names, generations = columns(list(self._consumers), 2)
        found += texts(names), numbers(generations)
        found += _as_arguments(columns(self._new_commands, 11), _NEW_COMMAND)
        found += _as_arguments(columns(self._requests, 10), _REQUEST)
        found += map(numbers, columns(self._check_columns, 4))
        found += _as_arguments(columns(self._events, 6), _EVENT)
        found += self.rows.arguments()
        found += map(numbers, columns(self._advances, 3))
        found.append(self._waiting.as_json())
        return found

    def check_ordinals(self, number: int) -> range:
        """Return the ordinals of the checks of a request."""
        before = self._requests[number - 2][_CHECK_END] if number > 1 else 0
        return range(before + 1, self._requests[number - 1][_CHECK_END] + 1)

    def _request(
        self,
        kind: int,
        *,
        command: int = 0,
        item: int = 0,
        end: int = 0,
        version: int = 0,
        outcome: bytes = b"",
        fence: Fence | None = None,
    ) -> None:
        partition = epoch = 0
        if fence is not None:
            partition = _ordinal(self._partitions, fence.partition)
            epoch = -fence.epoch if fence.first else fence.epoch
        checks, events = len(self._check_columns), len(self._events)
        self._requests.append((kind, command, item, end, version, outcome, partition, epoch, checks, events))

    @property
    def _number(self) -> int:
        """The number of the request that is being added."""
        return len(self._requests) + 1

    def _finish(self, write: FinishCommand) -> None:
        after = versions_after(write)
        aggregates = self._aggregates
        for check in write.checks:
            key = check.key
            self.checks.append(check)
            self._check_columns.append((_ordinal(aggregates, key), check.version, after[key], key in write.closes))
        number = self._number
        for event in write.events:
            self._events.append(
                (number, aggregates[event.key], event.version, event.type, event.request_id, event.record)
            )
        for state in write.states:
            self.rows.add(number, state)
        target = write.command
        if isinstance(target, NewCommand):
            command, item = self._new(target)
            kind = codes.FINISH_NEW
        else:
            command, item = _ordinal(self.commands, target), 0
            kind = codes.FINISH
        self._request(
            kind,
            command=command,
            item=item,
            end=codes.STATUS_NUMBERS[write.status],
            version=write.version,
            outcome=write.outcome,
            fence=write.fence,
        )

    def _new(self, new: NewCommand) -> tuple[int, int]:
        command = _ordinal(self.commands, new.key)
        self._new_commands.append(
            (
                command,
                new.aggregate.domain,
                new.aggregate.aggregate_id,
                new.partition,
                new.fingerprint,
                new.type,
                new.expected_version,
                new.not_before,
                new.attempts,
                new.context,
                new.command,
            )
        )
        return command, len(self._new_commands)

    def _accept(self, write: AcceptCommand) -> None:
        command, item = self._new(write.command)
        self._request(codes.ACCEPT, command=command, item=item)

    def _start(self, write: StartCommand) -> None:
        self._request(codes.START, command=_ordinal(self.commands, write.key), fence=write.fence)

    def _cancel(self, write: CancelCommand) -> None:
        self._request(codes.CANCEL, command=_ordinal(self.commands, write.key), outcome=write.outcome)

    def _retry(self, write: RetryCommand) -> None:
        self._request(codes.RETRY, command=_ordinal(self.commands, write.key))

    def _refresh(self, write: RefreshState) -> None:
        self.rows.add(self._number, write.state)
        self._request(codes.REFRESH, item=_ordinal(self._aggregates, write.key), version=write.version)

    def _advance(self, write: AdvanceConsumer) -> None:
        for row in write.rows:
            self.rows.add(self._number, row)
        for change in write.waiting:
            self._waiting.add(self._number, change)
        consumer = _ordinal(self._consumers, (write.name, write.generation))
        self._advances.append((consumer, write.before, write.after))
        self._request(codes.ADVANCE, item=len(self._advances))


_ADD: dict[type[Write], Callable[[Batch, Any], None]] = {
    FinishCommand: Batch._finish,
    AcceptCommand: Batch._accept,
    StartCommand: Batch._start,
    CancelCommand: Batch._cancel,
    RetryCommand: Batch._retry,
    RefreshState: Batch._refresh,
    AdvanceConsumer: Batch._advance,
}


def _as_arguments(found: Sequence[Sequence[Any]], kinds: Sequence[AsArgument]) -> list[Argument]:
    return [as_argument(column) for as_argument, column in zip(kinds, found, strict=True)]


def _ordinal(known: dict[Any, int], key: Any) -> int:
    """Return the ordinal of a key, and give it the next one where it has none."""
    ordinal = known.get(key)
    if ordinal is None:
        ordinal = known[key] = len(known) + 1
    return ordinal
