"""Snapshots: folded states that save reading an aggregate from its first event. Losing them loses nothing."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from comby.server.domain.identity import AggregateKey, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A state at a version. `stamp` is the digest of the state's descriptor and the aggregate's declared snapshot
    version."""

    key: AggregateKey
    version: Version
    stamp: str
    state: bytes


class SnapshotStore(ABC):
    """Every method raises StoreUnavailable when the store can not be used now."""

    @abstractmethod
    async def load(self, key: AggregateKey, *, stamp: str, up_to: Version | None = None) -> Snapshot | None:
        """Return the latest snapshot of this stamp, at or before a version; None where there is none."""

    @abstractmethod
    async def save(self, snapshot: Snapshot) -> None:
        """Store a snapshot, in place of one at the same version. Snapshots of the aggregate with another stamp are
        deleted."""
