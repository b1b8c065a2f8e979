"""Reactors: each runs in one instance at a time, and stands where the store says."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from comby.server.application.claims import now_micros
from comby.server.application.errors import ConsumerNotFound
from comby.server.application.requests import ConsumerKind, ConsumerView
from comby.server.application.running_reactor import WAITING_KEYS, ReactorParts, RunningReactor
from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    Advanced,
    Consumer,
    LeaveWaiting,
    PutWaiting,
    WaitingKey,
)

CONTESTED = 20
"""Tries to resolve a key of a reactor whose checkpoint moves elsewhere."""


def duty_of(reactor: str) -> str:
    """Return the name of the duty to run a reactor."""
    return f"reactor:{reactor}"


class Reactors:
    """All reactors of a facade."""

    def __init__(self, parts: ReactorParts) -> None:
        self._parts = parts
        self._registry = parts.registry
        self._checkpoints = parts.store.checkpoints
        self.running: dict[str, RunningReactor] = {}
        self._tasks: dict[str, list[asyncio.Task[None]]] = {}
        self._reconciling = asyncio.Lock()

    async def start(self) -> None:
        """Register every reactor, a new one at the head, or at the beginning if it says so; and start what is owned."""
        head = self._parts.tail.level.position
        for name, reactor in self._registry.reactors.items():
            first = Position(0) if reactor.from_start else head
            await self._checkpoints.create(
                Consumer(name=name, generation=1, version=1, live=True, position=first, since=head)
            )
        await self.reconcile()

    async def reconcile(self) -> None:
        """Run what is owned, and end what is not."""
        async with self._reconciling:
            for name in self._registry.reactors:
                owned = self._parts.owns_duty(duty_of(name))
                if owned and name not in self.running:
                    await self._run(name)
                elif not owned and name in self.running:
                    await self._end(name)

    async def stop(self) -> None:
        """Stop all; an event in hand is handled again after the next start."""
        for name in list(self.running):
            await self._end(name)

    async def views(self) -> list[ConsumerView]:
        """Describe all reactors."""
        rows = {row.name: row for row in await self._checkpoints.consumers()} if self._parts.shared else {}
        return [await self._view(name, rows.get(name)) for name in sorted(self._registry.reactors)]

    async def waiting_keys(self, tenant_id: str, reactor: str) -> list[WaitingKey]:
        """Return the aggregates of a tenant that wait for a reactor, or for any where it is empty. Raises ConsumerNotFound."""
        if reactor and reactor not in self._registry.reactors:
            raise ConsumerNotFound(reactor)
        names = [reactor] if reactor else sorted(self._registry.reactors)
        return [
            key
            for name in names
            for key in await self._checkpoints.waiting_keys(name, tenant_id=tenant_id, limit=WAITING_KEYS)
        ]

    async def resolve(self, reactor: str, key: AggregateKey, *, skip: bool) -> WaitingKey | None:
        """Retry a waiting key now, or skip the event that failed; None when the key does not wait."""
        running = self.running.get(reactor)
        if running is not None:
            return await running.resolve(key, skip=skip)
        for _ in range(CONTESTED):
            waiting = next((one for one in await self._of(reactor, key) if one.key == key), None)
            row = next((one for one in await self._checkpoints.consumers() if one.name == reactor), None)
            if waiting is None or row is None:
                return None
            if await self._resolve_elsewhere(row, waiting, skip=skip):
                return waiting
        return None

    async def _resolve_elsewhere(self, row: Consumer, waiting: WaitingKey, *, skip: bool) -> bool:
        """Write what the instance that runs the reactor reads before long; False when its checkpoint moved first."""
        again = replace(waiting, attempts=0, next_attempt_at=now_micros())
        leave = LeaveWaiting(reactor=row.name, key=waiting.key, position=waiting.position)
        change = leave if skip else PutWaiting(key=again)
        verdict = await self._parts.queue.submit(
            AdvanceConsumer(name=row.name, generation=1, before=row.position, after=row.position, waiting=(change,))
        )
        return isinstance(verdict, Advanced)

    async def _of(self, reactor: str, key: AggregateKey) -> Sequence[WaitingKey]:
        return await self._checkpoints.waiting_keys(reactor, tenant_id=key.tenant_id, limit=WAITING_KEYS)

    async def _run(self, name: str) -> None:
        row = next(one for one in await self._checkpoints.consumers() if one.name == name)
        waiting = await self._checkpoints.waiting_keys(name, limit=WAITING_KEYS)
        running = RunningReactor(self._registry.reactors[name], row, waiting, self._parts)
        self.running[name] = running
        loop = asyncio.get_running_loop()
        self._tasks[name] = [loop.create_task(running.follower.run()), loop.create_task(running.retry_waiting())]

    async def _end(self, name: str) -> None:
        tasks = self._tasks.pop(name)
        del self.running[name]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _view(self, name: str, row: Consumer | None) -> ConsumerView:
        running = self.running.get(name)
        if running is not None:
            return running.view()
        waiting = await self._checkpoints.waiting_keys(name, limit=WAITING_KEYS)
        return ConsumerView(
            name=name,
            kind=ConsumerKind.REACTOR,
            position=row.position if row else Position(0),
            head=self._parts.tail.level.position,
            generation=1,
            parked_keys=len(waiting),
        )
