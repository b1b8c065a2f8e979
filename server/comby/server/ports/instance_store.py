"""The instances that serve one log, and which of them owns what: partitions of commands, and named duties.

Ownership is a row with an epoch, which rises whenever the owner changes. Safety rests on the epochs, which `EventStore.commit` checks under the
same lock under which ownership changes; the leases only decide who may take over.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Holding: TypeAlias = int | str
"""What an instance owns: the number of a partition, or the name of a duty, such as a projection, a reactor or the relay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A process that serves the log. Times are microseconds since 1970 in UTC, on the store's clock.

    `name` is kept over restarts: a new instance of a name means that the old one has ended. `address` is where other instances reach it,
    host and port. One that is not `eligible` owns nothing: it reads, and forwards commands.
    """

    instance_id: str
    name: str
    address: str
    eligible: bool
    version: str
    started_at: int
    heartbeat_at: int
    live: bool


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who owns a holding: None for nobody. The epoch is that of the last change of owner."""

    owner: str | None
    epoch: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A holding that was taken. `unclean`: its owner before was silent for longer than the lease, and did not give it back."""

    epoch: int
    unclean: bool


@dataclass(frozen=True, slots=True)
class Membership:
    """All instances that are known, and the owner of every holding, at one moment."""

    instances: Sequence[Instance]
    holdings: Mapping[Holding, Ownership]

    def alone(self, instance_id: str) -> bool:
        """Tell whether there is no other instance, not even one that may have ended."""
        return all(one.instance_id == instance_id for one in self.instances)


class InstanceStore(ABC):
    """Every method raises StoreUnavailable when the store can not be used now.

    An instance is live while its last heartbeat is younger than the lease, on the store's own clock.
    """

    @abstractmethod
    async def join(
        self,
        instance_id: str,
        *,
        name: str,
        address: str,
        eligible: bool,
        version: str,
        partitions: int,
        duties: Sequence[str],
    ) -> None:
        """Register an instance with a first heartbeat, and see that there is a row for each partition (from 0) and duty.

        Other instances of the name are live no more: what they own may be taken at once, and counts as not given back.
        """

    @abstractmethod
    async def beat(self, instance_id: str, *, lease: float) -> Membership:
        """Renew an instance's heartbeat, and return who is there and who owns what. `lease` is in seconds.

        The instance still owns what is told as its own, also when it was silent for long. One that was forgotten is not registered again:
        it is missing in the answer.
        """

    @abstractmethod
    async def members(self, *, lease: float) -> Membership:
        """Return the same without a heartbeat."""

    @abstractmethod
    async def snapshot_age(self) -> float | None:
        """Return for how many seconds the oldest snapshot has been held that keeps dead rows from being cleaned up; None if not known."""

    @abstractmethod
    async def take(self, instance_id: str, holdings: Collection[Holding], *, lease: float) -> Mapping[Holding, Taken]:
        """Take those of the holdings that nobody owns, or whose owner is not live; return what was taken.

        `lease` is in seconds. Each gets a new epoch, under the lock of the append: no commit under an older one follows.
        """

    @abstractmethod
    async def release(self, instance_id: str, holdings: Mapping[Holding, int]) -> None:
        """Give holdings back, each where the instance still owns it in this epoch."""

    @abstractmethod
    async def leave(self, instance_id: str) -> None:
        """Give back everything, and forget the instance."""
