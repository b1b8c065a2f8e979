"""Projections: each follows the log on its own checkpoint, in one instance at a time.

A rebuild is a second generation beside the live one, with rows of its own; it takes over once it has caught up. What there is, the store's rows
tell: every instance brings itself in line with them, runs what it owns, and watches the rest.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import structlog

from comby.server.application.consumers import ConsumerParts
from comby.server.application.errors import ConsumerNotFound, RebuildRunning
from comby.server.application.generation import Generation, model_of
from comby.server.application.requests import ConsumerKind, ConsumerView
from comby.server.domain.identity import Position
from comby.server.domain.projection import Projection
from comby.server.ports.checkpoint_store import Consumer
from comby.server.ports.errors import StoreUnavailable

_log = structlog.get_logger("comby.projections")
SWITCH_SECONDS = 0.5
"""Between tries to switch to a rebuilt generation while the store is away."""
WATCH_SECONDS = 0.02
"""Between looks at the checkpoint of a projection that runs elsewhere, while somebody waits for it."""
SAVE_SECONDS = 0.1
"""How often the checkpoint of an idle projection is stored, where others watch it."""
DROP_SECONDS = 10.0
"""How long the rows of an old generation are kept, where others may not know yet that it is old."""


def duty_of(projection: str) -> str:
    """Return the name of the duty to run a projection."""
    return f"projection:{projection}"


class Projections:
    """All projections of a facade: the live generation of each, and those being rebuilt."""

    def __init__(self, parts: ConsumerParts) -> None:
        self._parts = parts
        self._store = parts.store
        self._tail = parts.tail
        self._registry = parts.registry
        self._live: dict[str, Generation] = {}
        self._building: dict[str, Generation] = {}
        self._left: set[tuple[str, int]] = set()
        self._tasks: dict[Generation, asyncio.Task[None]] = {}
        self._switches: dict[Generation, asyncio.Task[None]] = {}
        self._drops: set[asyncio.Task[None]] = set()
        self._reconciling = asyncio.Lock()
        self._watched = 0

    async def start(self) -> None:
        """Take in what the store has, and start what is owned."""
        await self.reconcile()

    async def reconcile(self) -> None:
        """Bring what runs here in line with what is owned and with the store's rows; a projection whose declared version has changed is
        rebuilt beside."""
        async with self._reconciling:
            stored: dict[str, list[Consumer]] = {}
            for consumer in await self._store.checkpoints.consumers():
                stored.setdefault(consumer.name, []).append(consumer)
            for name, projection in self._registry.projections.items():
                rows = sorted(stored.get(name, ()), key=lambda row: row.generation)
                await self._reconcile(projection, rows, owned=self._parts.owns_duty(duty_of(name)))

    async def _reconcile(self, projection: Projection[Any], rows: list[Consumer], *, owned: bool) -> None:
        name = projection.name
        if not owned:
            await self._end(name)
        current = self._building.get(name)
        if current in self._switches:  # it tells by itself when it has taken over
            return
        live = next((row for row in rows if row.live), None) or await self._create(projection, 1, live=True)
        newest = await self._newest(projection, live, rows) if owned else next(iter(rows[-1:]), live)
        before = self._live.get(name)
        run = owned and self._may_write(projection, live)
        generation = self._live[name] = self._in_line(before, projection, live, run=run)
        if owned and generation is not before:  # whoever switched to it may have ended before the old rows were gone
            self._drop_before(generation)
        if newest.live:
            self._building.pop(name, None)
            return
        run = owned and self._may_write(projection, newest)
        new = self._building[name] = self._in_line(current, projection, newest, run=run)
        if run:
            self._switches[new] = asyncio.get_running_loop().create_task(self._switch_when_ready(new))

    async def _newest(self, projection: Projection[Any], live: Consumer, rows: list[Consumer]) -> Consumer:
        """Return the generation that is to be built, or the live one where none is; what another version began is given up."""
        kept = [live]
        for row in rows:
            if row.live:
                continue
            if self._outdated(projection, row):
                await self._store.checkpoints.delete(row.name, generation=row.generation)
                await self._store.read_models.drop(model_of(row.name, row.generation))
            else:
                kept.append(row)
        if kept[-1] is live and self._outdated(projection, live):
            return await self._create(projection, live.generation + 1, live=False)
        return kept[-1]

    def _may_write(self, projection: Projection[Any], row: Consumer) -> bool:
        """Tell whether this version may write rows: those of a newer one, which another instance has or had, would be made wrong by it."""
        if row.version <= projection.version:
            return True
        left = (row.name, row.generation)
        if left not in self._left:
            self._left.add(left)
            _log.warning(
                "projection is left to a newer version",
                projection=row.name,
                generation=row.generation,
                version=row.version,
            )
        return False

    def _outdated(self, projection: Projection[Any], row: Consumer) -> bool:
        """Tell whether rows were made by another version; among several instances only a newer one decides that."""
        return projection.version > row.version if self._parts.shared else projection.version != row.version

    def _in_line(
        self, current: Generation | None, projection: Projection[Any], row: Consumer, *, run: bool
    ) -> Generation:
        """Return the generation of a row, the present one if it still fits; it runs, or follows what the row tells."""
        fits = current is not None and current.number == row.generation
        if current is not None and fits and (not run or current in self._tasks):
            if not run:
                current.watch(row.position)
            return current
        generation = Generation(projection, row, self._parts)
        if current is not None:
            if fits:
                generation.watch(current.follower.position)
            self._stop(current)
        if run:
            self._tasks[generation] = asyncio.get_running_loop().create_task(generation.follower.run())
        return generation

    def _stop(self, generation: Generation) -> None:
        generation.follower.retire()
        task = self._tasks.pop(generation, None)
        if task is not None:
            task.cancel()

    async def _end(self, name: str) -> None:
        """End what runs of a projection that is not owned; what it has come to is stored."""
        for generation in (self._live.get(name), self._building.get(name)):
            if generation is None:
                continue
            ending = [
                task
                for task in (self._tasks.pop(generation, None), self._switches.pop(generation, None))
                if task is not None
            ]
            for task in ending:
                task.cancel()
            if ending:
                await asyncio.gather(*ending, return_exceptions=True)
                await generation.save_position()

    async def keep_up(self) -> None:
        """Among several instances: store how far idle projections have come, and look how far those of others have; until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS if self._watched else SAVE_SECONDS)
            try:
                for generation in list(self._tasks):
                    await generation.save_position()
                if self._watched:
                    await self._watch()
            except StoreUnavailable:
                await asyncio.sleep(SAVE_SECONDS)

    async def _watch(self) -> None:
        rows = {(row.name, row.generation): row.position for row in await self._store.checkpoints.consumers()}
        for name, generation in self._live.items():
            position = rows.get((name, generation.number))
            if generation not in self._tasks and position is not None:
                generation.watch(position)

    async def stop(self) -> None:
        """Stop all, and store how far they have come."""
        tasks = [*self._switches.values(), *self._tasks.values(), *self._drops]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        running, self._tasks = list(self._tasks), {}
        for generation in running:
            if generation in self._live.values():
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
                live = self._live[name]
                watched = live not in self._tasks
                self._watched += watched
                try:
                    await live.follower.reached(position)
                finally:
                    self._watched -= watched

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
        """Begin a rebuild, here or where the projection runs. Raises ConsumerNotFound or RebuildRunning."""
        projection = self.live(name).projection
        async with self._reconciling:
            rows = [row for row in await self._store.checkpoints.consumers() if row.name == name]
            if self._building.get(name) in self._switches or any(not row.live for row in rows):
                raise RebuildRunning(name)
            await self._create(projection, max(row.generation for row in rows) + 1, live=False)
        await self.reconcile()
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

    async def views(self) -> list[ConsumerView]:
        """Describe all projections."""
        if self._parts.shared:
            await self._watch()
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

    async def _switch_when_ready(self, new: Generation) -> None:
        """Let a rebuilt generation take over once it has reached the live one."""
        name = new.projection.name
        while new.follower.position < self._live[name].follower.position:
            await new.follower.reached(self._live[name].follower.position)
        old = self._live[name]
        await self._switch(new)
        while new.follower.position < old.follower.position:  # nobody who was covered by the old one may be uncovered
            await new.follower.reached(old.follower.position)
        self._live[name] = new
        del self._building[name]
        del self._switches[new]
        self._stop(old)
        _log.info("projection rebuilt", projection=name, generation=new.number)
        self._drop_before(new)

    async def _switch(self, new: Generation) -> None:
        """Make a generation the live one in the store, as soon as that is there; it may be told so more than once."""
        while True:
            try:
                await new.save_position()
                await self._store.checkpoints.switch(new.projection.name, generation=new.number)
            except StoreUnavailable:
                await asyncio.sleep(SWITCH_SECONDS)
            else:
                return

    def _drop_before(self, live: Generation) -> None:
        """Delete the rows of all generations before one; soon, and where others may still read them, after a while."""
        if live.number > 1:
            task = asyncio.get_running_loop().create_task(self._drop(live))
            self._drops.add(task)
            task.add_done_callback(self._drops.discard)

    async def _drop(self, live: Generation) -> None:
        if self._parts.shared:
            await asyncio.sleep(DROP_SECONDS)
        try:
            for number in range(1, live.number):
                await self._store.read_models.drop(model_of(live.projection.name, number))
        except StoreUnavailable:
            _log.warning("old rows are left to the next start", projection=live.projection.name)
