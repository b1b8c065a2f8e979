"""Stored commands: the durable queue, and the memory of what each request id came to."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version


class CommandStatus(StrEnum):
    """Where a stored command stands. Accepted ones are open, parked ones may be retried, the others are final."""

    ACCEPTED = "accepted"
    EXECUTED = "executed"
    REJECTED = "rejected"
    PARKED = "parked"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class NewCommand:
    """A command to store. Times are microseconds since 1970 in UTC.

    `fingerprint` is a SHA-256 of what makes the command this one; `command` and `context` are serialized messages.
    """

    key: CommandKey
    aggregate: AggregateKey
    partition: int
    fingerprint: bytes
    type: str
    command: bytes
    context: bytes
    expected_version: Version | None
    not_before: int | None
    attempts: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCommand:
    """A command as stored. Times are microseconds since 1970 in UTC.

    `accept_seq` rises in the order of acceptance. `command` is None after the idempotency window. `finished_at` is when
    the command became final or was parked. `version` is the target aggregate's after the command, as told by what
    finished it, and `position` that of the last event caused; 0 where there is none. `outcome` is a serialized
    CommandReceipt, empty until the command is final or parked.
    """

    key: CommandKey
    aggregate: AggregateKey
    accept_seq: int
    partition: int
    fingerprint: bytes
    type: str
    command: bytes | None
    context: bytes
    expected_version: Version | None
    not_before: int | None
    status: CommandStatus
    attempts: int
    accepted_at: int
    finished_at: int | None
    version: Version
    position: Position
    outcome: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandFilter:
    """Selects commands of one tenant; an empty field selects all. `before_seq` is the exclusive end: pages go
    backwards."""

    tenant_id: str
    statuses: frozenset[CommandStatus] = frozenset()
    type: str = ""
    aggregate_id: str = ""
    before_seq: int | None = None


class CommandStore(ABC):
    """Reads stored commands; they are written by `EventStore.commit`, together with what they cause.

    Every method raises StoreUnavailable when the store can not be read now.
    """

    @abstractmethod
    async def get(self, key: CommandKey) -> StoredCommand | None:
        """Return a stored command, or None."""

    @abstractmethod
    async def get_many(self, keys: Sequence[CommandKey]) -> Mapping[CommandKey, StoredCommand]:
        """Return those of the commands that are stored, in one read."""

    @abstractmethod
    async def list(self, filter: CommandFilter, *, limit: int) -> Sequence[StoredCommand]:
        """Return at most `limit` commands, the last accepted first."""

    @abstractmethod
    async def open_keys(
        self, *, due: int, limit: int, partitions: Collection[int] | None = None
    ) -> Sequence[CommandKey]:
        """Return at most `limit` accepted commands with `not_before` unset or at most `due`, in the order of acceptance;
        those of some partitions only, where they are named."""

    @abstractmethod
    async def open_keys_of_aggregate(self, aggregate: AggregateKey, *, due: int, limit: int) -> Sequence[CommandKey]:
        """Return those of one aggregate."""

    @abstractmethod
    async def next_due(self, *, after: int, partitions: Collection[int] | None = None) -> int | None:
        """Return the earliest `not_before` above `after` of an accepted command, of some partitions only where they are
        named; or None."""

    @abstractmethod
    async def ended(self, keys: Collection[CommandKey]) -> Sequence[CommandKey]:
        """Return those of the commands that are stored and not accepted (any more): final, or parked."""

    @abstractmethod
    async def count_open(self) -> Mapping[str, int]:
        """Count the accepted commands of each tenant that has any."""

    @abstractmethod
    async def forget(self, *, finished_before: int, limit: int) -> int:
        """Drop the payloads of at most `limit` final commands that finished before; return how many were dropped."""
