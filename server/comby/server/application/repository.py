"""The repository: aggregates' states, loaded from the store and kept in memory as (version, state), never as
aggregate objects."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from comby.server.application.contract import AggregateType
from comby.server.application.event_codec import EPOCH, events_in, message_of
from comby.server.application.limits import Limits
from comby.server.application.registry import Registry
from comby.server.domain.aggregate import apply_event
from comby.server.domain.context import Execution, RequestContext
from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.event_store import StoredEvent
from comby.server.ports.snapshot_store import Snapshot
from comby.server.ports.store import Store

PAGE_EVENTS = 1000
"""Events read at once when an aggregate is folded."""


@dataclass(slots=True)
class Loaded:
    """An aggregate as committed. The state is shared: copy it before it is changed. `kind` is None where it does not
    exist."""

    version: Version
    state: Message
    closed: bool
    kind: AggregateType | None


class Repository:
    """Loads states, and remembers them until they are forgotten or too many."""

    def __init__(
        self, store: Store, registry: Registry, limits: Limits, owns: Callable[[AggregateKey], bool] | None = None
    ) -> None:
        """`owns` tells whether an aggregate changes in this process only; None where all do. Others are not remembered."""
        self._store = store
        self._registry = registry
        self._limits = limits
        self._owns = owns
        self._changes = 0
        self._cache: OrderedDict[AggregateKey, tuple[Loaded, int]] = OrderedDict()
        self._bytes = 0

    def cached(self, key: AggregateKey) -> Loaded | None:
        """Return what is remembered of an aggregate."""
        found = self._cache.get(key)
        if found is None:
            return None
        self._cache.move_to_end(key)
        return found[0]

    def remember(self, key: AggregateKey, loaded: Loaded, size: int) -> None:
        """Keep a committed state of `size` serialized bytes."""
        self.forget(key)
        if self._owns is not None and not self._owns(key):
            return
        self._cache[key] = (loaded, size)
        self._bytes += size
        while len(self._cache) > self._limits.cached_aggregates or self._bytes > self._limits.cached_bytes:
            _, (_, dropped) = self._cache.popitem(last=False)
            self._bytes -= dropped

    def forget(self, key: AggregateKey) -> None:
        """Drop what is remembered, so that the store is asked next time."""
        found = self._cache.pop(key, None)
        if found is not None:
            self._bytes -= found[1]

    def note(self, events: Sequence[StoredEvent]) -> None:
        """Drop the states that another process has changed: a command may write aggregates of several partitions."""
        self._changes += 1
        for event in events:
            found = self._cache.get(event.key)
            if found is not None and found[0].version < event.version:
                self.forget(event.key)

    def forget_others(self) -> None:
        """Drop what this process owns no more."""
        if self._owns is not None:
            for key in [key for key in self._cache if not self._owns(key)]:
                self.forget(key)

    async def read(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        """Return an aggregate for a reader: never older than what any instance has told anybody. Raises StoreUnavailable.

        Among several instances that is in the store alone: another one may have written the aggregate, or told of what is committed here, before
        this one knows.
        """
        if self._owns is not None:
            return await self.load_stored(key, kind)
        return await self.load(key, kind)

    async def load(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        """Return an aggregate as committed, from memory or from the store; at version 0 where it does not exist.

        `kind` is what the caller takes it for; `Loaded.kind` is what it is. Raises StoreUnavailable.
        """
        if self._owns is not None and not self._owns(key):
            return await self.load_stored(key, kind)
        found = self.cached(key)
        if found is not None:
            return found
        changes = self._changes
        loaded = await self.load_stored(key, kind)
        newer = self.cached(key)
        if newer is not None and newer.version >= loaded.version:  # committed while the store was read
            return newer
        if changes == self._changes:  # else it may have been changed elsewhere meanwhile
            self.remember(key, loaded, loaded.state.ByteSize())
        return loaded

    async def load_stored(self, key: AggregateKey, kind: AggregateType) -> Loaded:
        """Load from the store: the state's row where it is of this fold, else snapshot and events."""
        while True:
            version, closed = await self._store.events.version(key)
            if version == 0:
                return Loaded(version, kind.state(), closed, None)
            row = await self._store.read_models.get(kind.model, key.tenant_id, key.aggregate_id)
            if row is None or row.stamp != kind.stamp or row.version < version:
                return await self.fold(key, kind, up_to=version, closed=closed)
            if row.version == version:  # else it was written since, and `closed` may be of the past
                return Loaded(row.version, kind.state.FromString(row.row), closed, kind)

    async def fold(
        self,
        key: AggregateKey,
        kind: AggregateType,
        *,
        up_to: Version | None = None,
        closed: bool = False,
        snapshots: bool = True,
    ) -> Loaded:
        """Fold an aggregate's events up to a version, from the latest snapshot before it."""
        snapshot = await self._store.snapshots.load(key, stamp=kind.stamp, up_to=up_to) if snapshots else None
        aggregate = kind.cls(
            key.aggregate_id,
            snapshot.version if snapshot else Version(0),
            kind.state.FromString(snapshot.state) if snapshot else kind.state(),
            REPLAY,
        )
        while True:
            elements = await self._store.events.read_history(
                key, after=aggregate.version, up_to=up_to, limit=PAGE_EVENTS
            )
            page = events_in(elements)
            for event in page:
                known = self._registry.event_named(event.type)
                if known is not None and known.aggregate is not kind:
                    return Loaded(up_to or Version(event.version), kind.state(), closed, known.aggregate)
                apply_event(aggregate, message_of(event, self._registry))
            if len(page) < PAGE_EVENTS:
                return Loaded(aggregate.version, aggregate.state, closed, kind if aggregate.version else None)

    async def save_snapshot(self, key: AggregateKey, kind: AggregateType, version: Version, state: bytes) -> None:
        """Store a snapshot."""
        await self._store.snapshots.save(Snapshot(key=key, version=version, stamp=kind.stamp, state=state))


REPLAY = Execution(request_id="00000000-0000-0000-0000-000000000000", context=RequestContext(), now=EPOCH)
"""The execution that appliers see while old events are folded: an applier must not look at it."""
