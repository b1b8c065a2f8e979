"""Projections: each follows the log on its own checkpoint, which moves in the same transaction as the rows.

A rebuild is a second generation beside the live one, with rows of its own; it takes over once it has caught up.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog
from google.protobuf.message import Message

from comby.server.application.consumers import ConsumerParts, Follower, Superseded, through_middleware
from comby.server.application.errors import ConsumerNotFound, RebuildRunning
from comby.server.application.event_codec import recorded
from comby.server.application.indexing import index
from comby.server.application.log_tail import TailEvent
from comby.server.application.requests import ConsumerKind, ConsumerView
from comby.server.domain.identity import Position
from comby.server.domain.projection import Projection
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    CheckpointMoved,
    Consumer,
)
from comby.server.ports.event_store import EventFilter
from comby.server.ports.read_model_store import DeleteRow, PutRow, ReadModelStore

_log = structlog.get_logger("comby.projections")


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
        """Write a row."""
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
        filter = EventFilter(types=parts.registry.names_of(projection.handlers))
        self.follower = Follower(projection.name, parts.tail, filter, parts.limits, consumer.position, self._handle)

    async def _handle(self, follower: Follower, events: list[TailEvent], through: Position) -> None:
        tenants: dict[str, RowChanges] = {}
        for event in events:
            follower.failing_at = event.stored.position
            one = recorded(event.stored, self._registry)
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

    async def save_position(self) -> None:
        """Store how far it has come over events that it does not handle."""
        position = self.follower.position
        if position > self._stored:
            verdict = await self._queue.submit(
                AdvanceConsumer(name=self.projection.name, generation=self.number, before=self._stored, after=position)
            )
            if not isinstance(verdict, CheckpointMoved):
                self._stored = position


class Projections:
    """All projections of a facade: the live generation of each, and those being rebuilt."""

    def __init__(self, parts: ConsumerParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._tail = parts.tail
        self._registry = parts.registry
        self._live: dict[str, Generation] = {}
        self._building: dict[str, Generation] = {}
        self._beginning: set[str] = set()
        self._tasks: dict[Generation, asyncio.Task[None]] = {}
        self._rebuilds: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Start every projection where it stood; one whose declared version has risen is rebuilt beside."""
        stored: dict[str, list[Consumer]] = {}
        for consumer in await self._store.checkpoints.consumers():
            stored.setdefault(consumer.name, []).append(consumer)
        for name, projection in self._registry.projections.items():
            rows = sorted(stored.get(name, ()), key=lambda row: row.generation)
            live = next((row for row in rows if row.live), None)
            if live is None:
                live = await self._create(projection, 1, live=True)
            self._live[name] = self._run(projection, live)
            building = [row for row in rows if not row.live]
            newest = building[-1] if building else None
            if newest is not None and newest.version == projection.version:
                self._build(projection, newest)
            elif live.version != projection.version:
                self._build(projection, await self._create(projection, (newest or live).generation + 1, live=False))

    async def stop(self) -> None:
        """Stop all, and store how far they have come."""
        tasks = [*self._rebuilds, *self._tasks.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for generation in self._live.values():
            await generation.save_position()

    def live(self, name: str) -> Generation:
        """Return the generation that answers. Raises ConsumerNotFound."""
        found = self._live.get(name)
        if found is None:
            raise ConsumerNotFound(name)
        return found

    async def cover(self, names: Sequence[str], position: Position) -> None:
        """Wait until the projections cover a position."""
        for name in names:
            while self._live[name].follower.position < position:
                await self._live[name].follower.reached(position)

    def lag(self, names: Sequence[str], position: Position) -> tuple[str, int]:
        """Return the projection that is furthest behind a position, and by how much."""
        behind = min(names, key=lambda name: self._live[name].follower.position)
        return behind, position - self._live[behind].follower.position

    def handling(self, types: frozenset[str]) -> list[str]:
        """Return the projections that handle events of these identifiers."""
        return [
            name
            for name, generation in self._live.items()
            if types & self._registry.names_of(generation.projection.handlers)
        ]

    def covered(self, names: Sequence[str]) -> Position:
        """Return up to where all of the projections have come; the head where there are none."""
        return min((self._live[name].follower.position for name in names), default=self._tail.level.position)

    async def rebuild(self, name: str) -> ConsumerView:
        """Begin a rebuild. Raises ConsumerNotFound or RebuildRunning."""
        live = self.live(name)
        if name in self._building or name in self._beginning:
            raise RebuildRunning(name)
        self._beginning.add(name)
        try:
            self._build(live.projection, await self._create(live.projection, live.number + 1, live=False))
        finally:
            self._beginning.discard(name)
        return self.view(name)

    def view(self, name: str) -> ConsumerView:
        """Describe one projection."""
        live = self.live(name)
        building = self._building.get(name)
        return ConsumerView(
            name=name,
            kind=ConsumerKind.PROJECTION,
            position=live.follower.position,
            head=self._tail.level.position,
            generation=live.number,
            rebuilding=(building.number, building.follower.position) if building else None,
            failure=live.follower.failure or (building.follower.failure if building else None),
        )

    def views(self) -> list[ConsumerView]:
        """Describe all projections."""
        return [self.view(name) for name in sorted(self._live)]

    async def _create(self, projection: Projection[Any], generation: int, *, live: bool) -> Consumer:
        return await self._store.checkpoints.create(
            Consumer(
                name=projection.name,
                generation=generation,
                version=projection.version,
                live=live,
                position=Position(0),
                since=Position(0),
            )
        )

    def _run(self, projection: Projection[Any], consumer: Consumer) -> Generation:
        generation = Generation(projection, consumer, self._parts)
        self._tasks[generation] = asyncio.get_running_loop().create_task(generation.follower.run())
        return generation

    def _build(self, projection: Projection[Any], consumer: Consumer) -> None:
        generation = self._run(projection, consumer)
        self._building[projection.name] = generation
        task = asyncio.get_running_loop().create_task(self._switch_when_ready(generation))
        self._rebuilds.add(task)
        task.add_done_callback(self._rebuilds.discard)

    async def _switch_when_ready(self, new: Generation) -> None:
        """Let a rebuilt generation take over once it has reached the live one."""
        name = new.projection.name
        while new.follower.position < self._live[name].follower.position:
            await new.follower.reached(self._live[name].follower.position)
        old = self._live[name]
        await new.save_position()
        await self._store.checkpoints.switch(name, generation=new.number)
        while new.follower.position < old.follower.position:  # nobody who was covered by the old one may be uncovered
            await new.follower.reached(old.follower.position)
        self._live[name] = new
        old.follower.retire()
        del self._building[name]
        self._tasks.pop(old).cancel()
        _log.info("projection rebuilt", projection=name, generation=new.number)
        await self._store.read_models.drop(old.model)


def _copy(row: Message) -> Message:
    copy = type(row)()
    copy.CopyFrom(row)
    return copy
