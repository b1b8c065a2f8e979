"""An aggregate as it is, as it was at a version, and as it was at a time; and the list of those that are."""

from typing import Any

from comby.server.application.contract import AggregateType
from comby.server.application.errors import (
    AggregateNotFound,
    PositionBeyondHead,
    UnknownType,
)
from comby.server.application.read_models import ReadModels
from comby.server.application.registry import Registry
from comby.server.application.repository import Repository
from comby.server.application.requests import (
    AggregateListRequest,
    AggregatePage,
    AggregateRequest,
    AggregateView,
)
from comby.server.application.scrubbing import Scrubber
from comby.server.domain.identity import AggregateKey, Position, Version
from comby.server.domain.query import Versioned
from comby.server.ports.event_store import EventFilter, EventStore


class History:
    """Reads aggregates for the facade."""

    def __init__(self, registry: Registry, repository: Repository, read_models: ReadModels, events: EventStore) -> None:
        self._registry = registry
        self._repository = repository
        self._read_models = read_models
        self._events = events
        self._scrubber = Scrubber()

    async def get(self, request: AggregateRequest) -> AggregateView:
        """Return a state, without internal fields. Raises UnknownType, AggregateNotFound, or PositionBeyondHead for a
        version to come."""
        kind = self._kind(request.aggregate)
        tenant_id = request.context.tenant_id
        if request.version is None and request.time is None:
            return self._view(await self._read_models.state(kind, tenant_id, request.aggregate_id))
        key = AggregateKey(tenant_id, kind.domain, request.aggregate_id.lower())
        version = request.version
        if version is None:
            assert request.time is not None
            version = await self._version_at(key, request.time)
        present, _ = await self._events.version(key)
        if version == 0 or present == 0:
            raise AggregateNotFound(kind.identifier, request.aggregate_id)
        if version > present:
            raise PositionBeyondHead(position=Position(version), head=Position(present))
        loaded = await self._repository.fold(key, kind, up_to=version)
        if loaded.kind is not kind:
            raise AggregateNotFound(kind.identifier, request.aggregate_id)
        return self._view(Versioned(key.aggregate_id, loaded.version, loaded.state))

    async def list(self, request: AggregateListRequest) -> AggregatePage:
        """Return a page of states, without internal fields. Raises UnknownType, InvalidMessage or InvalidToken."""
        page = await self._read_models.states(
            self._kind(request.aggregate),
            request.context.tenant_id,
            filter=request.filter,
            order_by=request.order_by,
            descending=request.descending,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        return AggregatePage([self._view(versioned) for versioned in page.rows], page.next_page_token)

    async def _version_at(self, key: AggregateKey, time: int) -> Version:
        """Return the aggregate's version after the last event recorded at or before a time."""
        cursor = Position(await self._events.position_before(time + 1) + 1)
        while cursor > 1:
            page = await self._events.read(
                after=cursor, filter=EventFilter(aggregate=key), limit=1, max_bytes=1, backwards=True
            )
            if page.events:
                return page.events[0].version
            cursor = page.through
        return Version(0)

    def _kind(self, identifier: str) -> AggregateType:
        kind = self._registry.aggregates.get(identifier)
        if kind is None:
            raise UnknownType(identifier)
        return kind

    def _view(self, versioned: Versioned[Any]) -> AggregateView:
        state = versioned.state
        self._scrubber.scrub(state)
        return AggregateView(versioned.aggregate_id, versioned.version, state)
