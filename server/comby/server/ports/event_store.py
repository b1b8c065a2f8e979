"""The event store: the log of events, and the one transaction in which everything that belongs together is written.

What is made for every command is not frozen, here and in the other rooms: freezing makes its construction five times as slow.
Nobody changes it all the same. On the way of every command it is made with its fields in their order, since naming them doubles the cost.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from comby.server.domain.identity import (
    AggregateKey,
    CommandKey,
    LogIdentity,
    Position,
    Version,
)
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    Advanced,
    CheckpointMoved,
)
from comby.server.ports.command_store import CommandStatus, NewCommand, StoredCommand
from comby.server.ports.read_model_store import PutRow


@dataclass(slots=True)
class NewEvent:
    """An event to append. `record` is a serialized Event without `position` and `recorded_at`, which the log gives."""

    key: AggregateKey
    version: Version
    type: str
    request_id: str
    record: bytes


@dataclass(slots=True)
class StoredEvent:
    """An event of the log. `recorded_at` is in microseconds since 1970 in UTC, and never falls from one position to
    the next."""

    position: Position
    recorded_at: int
    key: AggregateKey
    version: Version
    type: str
    record: bytes


@dataclass(slots=True)
class VersionCheck:
    """Refuses the commit unless the aggregate is at this version."""

    key: AggregateKey
    version: Version


@dataclass(frozen=True, slots=True)
class Fence:
    """Under which ownership of its partition a command is executed: in another epoch the request answers Fenced.

    Several instances accept commands of one aggregate, so its owner may not know all of them: a fenced request that would overtake an older
    command answers Behind. `first` says that the owner knows all older ones, and that this one comes before those that are open: then it
    does not.
    """

    partition: int
    epoch: int
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptCommand:
    """Stores a command for later execution. Answers CommandAccepted or CommandKnown."""

    command: NewCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class StartCommand:
    """Counts an attempt of an accepted command before it begins. Answers CommandStarted or CommandNotOpen.

    With a fence also Fenced, or Behind where an older accepted command of the aggregate that is due is not finished.
    """

    key: CommandKey
    fence: Fence | None = None


@dataclass(slots=True)
class FinishCommand:
    """Moves a command to its end together with everything that it causes: all of it or nothing.

    With a NewCommand (the fast path) the row is inserted, and CommandKnown is answered where the key exists. With a
    CommandKey an accepted row is moved, and CommandNotOpen is answered where it is not accepted (any more). Checks are
    made in the order of requests, each seeing what those before it in the batch wrote; a failed one answers
    VersionConflict with every violated check. Otherwise Committed.
    Before all of that, Fenced is answered where the fence does not hold, and Behind where a NewCommand has a fence and its aggregate an
    accepted command that is due.

    Each event's version must follow the checked version of its aggregate without a gap, and every aggregate that is
    written or closed has a check. `closes` are the aggregates that end, for good; the store notes it and refuses
    nothing for it. `states` are rows of the free read model. `version` is the target aggregate's after the command.
    """

    command: NewCommand | CommandKey
    status: CommandStatus
    outcome: bytes
    version: Version
    checks: tuple[VersionCheck, ...] = ()
    events: tuple[NewEvent, ...] = ()
    closes: frozenset[AggregateKey] = frozenset()
    states: tuple[PutRow, ...] = ()
    fence: Fence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelCommand:
    """Moves an accepted (not yet begun: no attempt) or parked command to cancelled. Answers CommandMoved or
    CommandNotOpen."""

    key: CommandKey
    outcome: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryCommand:
    """Moves a parked command back to accepted, at the tail, with no attempts. Answers CommandMoved or
    CommandNotOpen."""

    key: CommandKey


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshState:
    """Writes a row of the free read model if the aggregate is still at this version. Answers Refreshed."""

    key: AggregateKey
    version: Version
    state: PutRow


Write: TypeAlias = (
    AcceptCommand | StartCommand | FinishCommand | CancelCommand | RetryCommand | RefreshState | AdvanceConsumer
)


@dataclass(frozen=True, slots=True)
class CommandAccepted:
    """The command is stored. `accepted_at` is in microseconds since 1970 in UTC."""

    accept_seq: int
    accepted_at: int


@dataclass(frozen=True, slots=True)
class CommandKnown:
    """The key exists: nothing was written. The caller compares the stored command with its own."""

    stored: StoredCommand


@dataclass(frozen=True, slots=True)
class CommandStarted:
    """The attempt is counted."""

    attempts: int


@dataclass(frozen=True, slots=True)
class CommandNotOpen:
    """The command is not in a status from which it could be moved: nothing was written. None: there is no such
    command."""

    stored: StoredCommand | None


@dataclass(frozen=True, slots=True)
class CommandMoved:
    """The command was moved, and is stored as told."""

    stored: StoredCommand


@dataclass(slots=True)
class Committed:
    """Everything is stored. `last` is the position of the last event; 0 where there is none. `recorded_at` as in
    StoredEvent."""

    last: Position
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Violation:
    """A check that failed. `actual` is 0 where the aggregate does not exist."""

    key: AggregateKey
    expected: Version
    actual: Version


@dataclass(frozen=True, slots=True)
class VersionConflict:
    """Nothing was written; these are all the checks that failed."""

    violations: tuple[Violation, ...]


@dataclass(frozen=True, slots=True)
class Refreshed:
    """Whether the row was written."""

    written: bool


@dataclass(frozen=True, slots=True)
class Fenced:
    """The partition has another owner, or had one in between: nothing was written."""


@dataclass(frozen=True, slots=True)
class Behind:
    """An accepted command of the same aggregate comes first: nothing was written."""


Verdict: TypeAlias = (
    CommandAccepted
    | CommandKnown
    | CommandStarted
    | CommandNotOpen
    | CommandMoved
    | Committed
    | VersionConflict
    | Refreshed
    | Advanced
    | CheckpointMoved
    | Fenced
    | Behind
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """Selects events that match every field that is set; an empty field selects all. `tenant_id` None selects every
    tenant."""

    tenant_id: str | None = None
    domains: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    aggregate: AggregateKey | None = None


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page. `through` is the last position that was examined: a reader goes on after it (backwards: before it)."""

    events: Sequence[StoredEvent]
    through: Position


@dataclass(frozen=True, slots=True)
class ElementPage:
    """One page as bytes: `count` elements of a field `repeated Event events = 1`, end to end. `through` as in EventPage."""

    elements: bytes
    count: int
    through: Position


class EventStore(ABC):
    """The single source of truth.

    Every method raises StoreUnavailable when the store can not be used now. Events come in the order of positions,
    which is the order of commits, without gaps:
    a reader that goes on after the last position it saw can not miss one.
    """

    @property
    @abstractmethod
    def identity(self) -> LogIdentity:
        """The log, and its incarnation."""

    @property
    @abstractmethod
    def unclean(self) -> bool:
        """Tell whether the store was not closed in order the last time that it was open."""

    @property
    def commits_at_once(self) -> int:
        """How many commits may be under way at once; they take effect in the order in which they were begun."""
        return 1

    @property
    def lingers(self) -> int:
        """For how many milliseconds at most a commit may let more requests arrive first, as long as some do: more than none where few large
        commits cost much less than many small ones."""
        return 0

    @abstractmethod
    async def head(self) -> Position:
        """Return the last committed position; 0 for an empty log."""

    @abstractmethod
    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        """Write a batch in one transaction and return a verdict for each request, in their order.

        A refused request writes nothing and leaves the others alone. When this returns, everything is on disk.
        Raises StoreUnavailable when the batch as a whole failed and nothing of it is stored, and ValueError, likewise,
        for a request that contradicts itself (a bug of the caller): an end that is `accepted`, or an event or a closed
        aggregate that does not go with the checks.
        """

    @abstractmethod
    async def read(
        self, *, after: Position, filter: EventFilter, limit: int, max_bytes: int, backwards: bool = False
    ) -> EventPage:
        """Return matching events after a position (backwards: before it, where 0 is the end), at most `limit` or
        about `max_bytes` of records.

        At least one event is returned where one matches in what was examined. A page may be empty although there are
        matches further on: then `through` has moved. It is the
        head (backwards: 1, or 0 for an empty log) when everything was examined.
        """

    @abstractmethod
    async def read_elements(self, *, after: Position, filter: EventFilter, limit: int, max_bytes: int) -> ElementPage:
        """Return what `read` returns forwards, as bytes for a stream: each event complete, as `elements.element` makes it."""

    @abstractmethod
    async def read_aggregate(
        self, key: AggregateKey, *, after: Version, up_to: Version | None = None, limit: int
    ) -> Sequence[StoredEvent]:
        """Return an aggregate's events with `after` < version <= `up_to`, in the order of versions, at most `limit`."""

    @abstractmethod
    async def read_history(
        self, key: AggregateKey, *, after: Version, up_to: Version | None = None, limit: int
    ) -> bytes:
        """Return what `read_aggregate` returns as bytes: elements end to end, as `elements.element` makes them."""

    @abstractmethod
    async def version(self, key: AggregateKey) -> tuple[Version, bool]:
        """Return an aggregate's version, and whether it is closed."""

    @abstractmethod
    async def position_before(self, time: int) -> Position:
        """Return the last position recorded before a time (microseconds since 1970 in UTC); 0 where there is none."""
