"""Live states: an aggregate's state now and after every later event, without a gap and without a second source."""

from collections.abc import AsyncIterator
from typing import Any

from comby.server.application.contract import AggregateType
from comby.server.application.errors import AggregateNotFound
from comby.server.application.event_codec import payload
from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.application.registry import Registry
from comby.server.application.repository import REPLAY, Loaded, Repository
from comby.server.domain.aggregate import apply_event
from comby.server.domain.identity import AggregateKey
from comby.server.domain.query import Versioned
from comby.server.ports.event_store import EventFilter, StoredEvent


class LiveStates:
    """Folds an aggregate's events as the log goes on."""

    def __init__(self, repository: Repository, tail: LogTail, registry: Registry, limits: Limits) -> None:
        self._repository = repository
        self._tail = tail
        self._registry = registry
        self._limits = limits

    async def watch(self, kind: AggregateType, tenant_id: str, aggregate_id: str) -> AsyncIterator[Versioned[Any]]:
        """Yield a state of the receiver's own, now and after each event; ends when the aggregate closes. Raises
        AggregateNotFound."""
        key = AggregateKey(tenant_id, kind.domain, aggregate_id.lower())
        cursor = self._tail.level.position  # taken first: what is loaded afterwards covers it
        loaded = await self._repository.load_stored(key, kind)  # what is in memory may be behind the tail
        if loaded.version == 0 or loaded.closed or loaded.kind is not kind:
            raise AggregateNotFound(kind.identifier, aggregate_id)
        yield _copy(kind, key, loaded)
        filter = EventFilter(aggregate=key)
        while True:
            page = await self._tail.page(
                cursor, filter, limit=self._limits.batch_events, max_bytes=self._limits.batch_bytes
            )
            for event in page.events:
                if event.version > loaded.version:
                    loaded = await self._next(kind, key, loaded, event)
                    yield _copy(kind, key, loaded)
                    if loaded.closed:
                        return
            cursor = page.through
            await self._tail.level.above(cursor)

    async def _next(self, kind: AggregateType, key: AggregateKey, loaded: Loaded, stored: StoredEvent) -> Loaded:
        event = self._registry.event_named(stored.type)
        closed = event is not None and event.closes
        if stored.version != loaded.version + 1:
            return await self._repository.fold(key, kind, up_to=stored.version, closed=closed)
        state = kind.state()
        state.CopyFrom(loaded.state)
        aggregate = kind.cls(key.aggregate_id, loaded.version, state, REPLAY)
        apply_event(aggregate, payload(stored, self._registry))
        return Loaded(aggregate.version, aggregate.state, closed, kind)


def _copy(kind: AggregateType, key: AggregateKey, loaded: Loaded) -> Versioned[Any]:
    state = kind.state()
    state.CopyFrom(loaded.state)
    return Versioned(key.aggregate_id, loaded.version, state)
