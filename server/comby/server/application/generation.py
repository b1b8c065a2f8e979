"""One generation of a projection: a follower whose checkpoint moves in the same transaction as the rows that it writes."""

import asyncio
from typing import Any

from google.protobuf.message import Message

from comby.server.application.consumers import ConsumerParts, Follower, Superseded, through_middleware
from comby.server.application.event_codec import recorded
from comby.server.application.indexing import index
from comby.server.domain.identity import Position
from comby.server.domain.projection import Projection
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    CheckpointMoved,
    Consumer,
)
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.ports.read_model_store import DeleteRow, PutRow, ReadModelStore, refuse_long_key


def model_of(name: str, generation: int) -> str:
    """Return the name of the rows of one generation."""
    return f"projection:{name}:{generation}"


class RowChanges:
    """The rows of one projection in one tenant, with the changes of the page at hand."""

    def __init__(self, rows: ReadModelStore, model: str, tenant_id: str, projection: Projection[Any]) -> None:
        self._rows = rows
        self._model = model
        self._tenant_id = tenant_id
        self._projection = projection
        self._changed: dict[str, Message | None] = {}

    async def get(self, key: str) -> Any:
        """Return a copy of the row, or None."""
        if key in self._changed:
            row = self._changed[key]
            return None if row is None else _copy(row)
        stored = await self._rows.get(self._model, self._tenant_id, key)
        return None if stored is None else self._projection.row_type.FromString(stored.row)

    def put(self, key: str, row: Message) -> None:
        """Write a row. Raises ValueError for a key that is too long."""
        refuse_long_key(key)
        self._changed[key] = _copy(row)

    def delete(self, key: str) -> None:
        """Delete a row."""
        self._changed[key] = None

    def writes(self) -> list[PutRow | DeleteRow]:
        """Return the changes."""
        writes: list[PutRow | DeleteRow] = []
        for key, row in self._changed.items():
            if row is None:
                writes.append(DeleteRow(model=self._model, tenant_id=self._tenant_id, key=key))
            else:
                fields = index(row, self._projection.indexed)
                data = row.SerializeToString()
                writes.append(PutRow(model=self._model, tenant_id=self._tenant_id, key=key, row=data, fields=fields))
        return writes


class Generation:
    """One generation of a projection: a follower that writes its rows."""

    def __init__(
        self,
        projection: Projection[Any],
        consumer: Consumer,
        parts: ConsumerParts,
    ) -> None:
        self.projection = projection
        self.number = consumer.generation
        self.model = model_of(projection.name, consumer.generation)
        self._rows = parts.store.read_models
        self._queue = parts.queue
        self._registry = parts.registry
        self._middleware = parts.middleware
        self._watchdog = parts.watchdog
        self._stored = consumer.position
        self._moving = asyncio.Lock()
        filter = EventFilter(types=parts.registry.names_of(projection.handlers))
        self.follower = Follower(projection.name, parts.tail, filter, parts.limits, consumer.position, self._handle)

    async def _handle(self, follower: Follower, events: list[StoredEvent], through: Position) -> None:
        async with self._moving:
            await self._write_page(follower, events, through)

    async def _write_page(self, follower: Follower, events: list[StoredEvent], through: Position) -> None:
        tenants: dict[str, RowChanges] = {}
        for event in events:
            follower.failing_at = event.position
            one = recorded(event, self._registry)
            tenant_id = one.key.tenant_id
            rows = tenants.get(tenant_id)
            if rows is None:
                rows = tenants[tenant_id] = RowChanges(self._rows, self.model, tenant_id, self.projection)
            await self._apply(one, rows)
        verdict = await self._queue.submit(
            AdvanceConsumer(
                name=self.projection.name,
                generation=self.number,
                before=self._stored,
                after=through,
                rows=tuple(write for rows in tenants.values() for write in rows.writes()),
            )
        )
        if isinstance(verdict, CheckpointMoved):
            if verdict.actual is not None:
                self._stored = verdict.actual
            raise Superseded(verdict.actual)
        self._stored = through

    async def _apply(self, one: Any, rows: RowChanges) -> None:
        handler = self.projection.handlers.get(type(one.event))
        if handler is None:
            return
        name = self.projection.name

        async def handle() -> None:
            await self._watchdog.guard(name, handler(self.projection, one, rows))

        await through_middleware(self._middleware, one, name, handle)

    def watch(self, position: Position) -> None:
        """Note how far it has come elsewhere."""
        self.follower.note(position)

    async def save_position(self) -> None:
        """Store how far it has come over events that it does not handle; nothing is done while it moves by itself."""
        position = self.follower.position
        if position > self._stored and not self._moving.locked():
            verdict = await self._queue.submit(
                AdvanceConsumer(name=self.projection.name, generation=self.number, before=self._stored, after=position)
            )
            if not isinstance(verdict, CheckpointMoved):
                self._stored = position


def _copy(row: Message) -> Message:
    copy = type(row)()
    copy.CopyFrom(row)
    return copy
