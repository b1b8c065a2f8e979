"""How far projections and reactors have come, and the aggregates at which a reactor failed."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.read_model_store import DeleteRow, PutRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumer:
    """A consumer's checkpoint. `live` is the generation that answers; a rebuilt projection has one row for each
    generation.

    `since` is the head when a reactor was first registered: events up to it are a replay.
    """

    name: str
    generation: int
    version: int
    live: bool
    position: Position
    since: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingKey:
    """An aggregate whose events wait for a reactor, because `position` failed. Times are microseconds since 1970 in
    UTC.

    `next_attempt_at` is None once the key is parked. `waiting` counts the events that wait, the failed one among them.
    """

    reactor: str
    key: AggregateKey
    position: Position
    attempts: int
    since: int
    next_attempt_at: int | None
    incident: str
    waiting: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PutWaiting:
    """Records a failure of a key, or a further one; `position` is the event that failed and joins the waiting events
    if it is not among them."""

    key: WaitingKey


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinWaiting:
    """Lets a later event of a waiting key wait behind the failed one.

    A key that does not wait (any more) waits again from this event on, with no attempts and due at once: no event is
    lost between a reactor that looks and one that tries again.
    """

    reactor: str
    key: AggregateKey
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaveWaiting:
    """Takes an event that is handled (or skipped) from those that wait.

    The key goes with its last event. Where it was the failed one, the attempts begin anew with the next event, due at
    once; a later one leaves without further effect.
    """

    reactor: str
    key: AggregateKey
    position: Position


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceConsumer:
    """Moves a checkpoint from where it was, together with what the events before it changed. Answers Advanced or
    CheckpointMoved.

    `before` and `after` may be equal: then only the changes are written, still only if the checkpoint stands there.
    """

    name: str
    generation: int
    before: Position
    after: Position
    rows: tuple[PutRow | DeleteRow, ...] = ()
    waiting: tuple[PutWaiting | JoinWaiting | LeaveWaiting, ...] = ()


@dataclass(frozen=True, slots=True)
class Advanced:
    """The checkpoint and its changes are stored."""


@dataclass(frozen=True, slots=True)
class CheckpointMoved:
    """Somebody else moved the checkpoint: nothing was written. `actual` is None where the consumer is gone."""

    actual: Position | None


class CheckpointStore(ABC):
    """Every method raises StoreUnavailable when the store can not be used now."""

    @abstractmethod
    async def consumers(self) -> Sequence[Consumer]:
        """Return every consumer's row."""

    @abstractmethod
    async def create(self, consumer: Consumer) -> Consumer:
        """Store a consumer, unless the name and generation are stored already; return what is stored."""

    @abstractmethod
    async def switch(self, name: str, *, generation: int) -> None:
        """Make a generation the live one and delete the rows of the consumer's others, in one transaction.

        Does nothing where there is no such generation.
        """

    @abstractmethod
    async def delete(self, name: str, *, generation: int) -> None:
        """Delete the row of one generation."""

    @abstractmethod
    async def waiting_keys(
        self, reactor: str, *, tenant_id: str | None = None, after: AggregateKey | None = None, limit: int
    ) -> Sequence[WaitingKey]:
        """Return keys that wait, of one reactor (of all where it is empty), ordered by reactor and key.

        `after` is the key to go on after; it pages through one reactor, not through all of them.
        """

    @abstractmethod
    async def waiting_positions(self, reactor: str, key: AggregateKey, *, limit: int) -> Sequence[Position]:
        """Return the positions of the events of a key that wait, in order."""
