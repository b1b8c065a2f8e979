"""One reactor that runs: it follows the log, at least once per event and in order per aggregate.

An event that fails makes its aggregate wait: the failed event and the later ones are noted in the store, and tried
again with back-off, while
the reactor goes on with others. After the last attempt the aggregate is parked until somebody retries or skips.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from comby.server.application import incidents
from comby.server.application.cancellation import being_cancelled
from comby.server.application.claims import now_micros
from comby.server.application.command_bus import CommandBus
from comby.server.application.command_records import CommandRecords
from comby.server.application.consumers import ConsumerParts, Follower, Superseded, through_middleware
from comby.server.application.errors import ShuttingDown
from comby.server.application.event_codec import recorded
from comby.server.application.reactions import Reaction
from comby.server.application.requests import ConsumerKind, ConsumerView
from comby.server.domain.identity import AggregateKey, Position
from comby.server.domain.reactor import Reactor
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    CheckpointMoved,
    Consumer,
    JoinWaiting,
    LeaveWaiting,
    PutWaiting,
    WaitingKey,
)
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import EventFilter, StoredEvent

BACKOFF = 0.2
"""Seconds before the second attempt of an event; doubled before each further one."""
LONGEST_BACKOFF = 30.0
LOOK_SECONDS = 1.0
"""How often waiting keys are looked at when none is due."""
WAITING_KEYS = 10_000
"""Keys of one reactor that may wait; beyond, the reactor stands still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactorParts(ConsumerParts):
    """What a reactor is given besides."""

    bus: CommandBus
    records: CommandRecords


class RunningReactor:
    """One reactor: a follower, and a loop that tries waiting keys again."""

    def __init__(
        self, reactor: Reactor, consumer: Consumer, waiting: Sequence[WaitingKey], parts: ReactorParts
    ) -> None:
        self.reactor = reactor
        self.waiting = {one.key: one for one in waiting}
        self._parts = parts
        self._since = consumer.since
        self._stored = consumer.position
        self._room = asyncio.Semaphore(parts.limits.reactor_concurrency)
        self._writing = asyncio.Lock()
        self._due = asyncio.Event()
        filter = EventFilter(types=parts.registry.names_of(reactor.handlers))
        self.follower = Follower(reactor.name, parts.tail, filter, parts.limits, consumer.position, self._handle)

    async def _handle(self, follower: Follower, events: list[StoredEvent], through: Position) -> None:
        """React to a page; what fails, or comes behind what failed, is noted as waiting when the checkpoint moves."""
        if len(self.waiting) >= WAITING_KEYS:
            raise TooManyWaiting(self.reactor.name)
        groups: dict[AggregateKey, list[StoredEvent]] = {}
        for event in events:
            groups.setdefault(event.key, []).append(event)
        changes: dict[AggregateKey, list[PutWaiting | JoinWaiting]] = {}
        todo = dict(groups)
        while True:
            fresh = {key: group for key, group in todo.items() if key not in self.waiting}
            changes.update(zip(fresh, await self._react_to_all(list(fresh.values())), strict=True))
            async with self._writing:
                behind = {key: group for key, group in groups.items() if key not in changes}
                todo = {key: group for key, group in behind.items() if key not in self.waiting}
                if not todo:
                    for key, group in behind.items():
                        changes[key] = [
                            JoinWaiting(reactor=self.reactor.name, key=key, position=one.position) for one in group
                        ]
                    await self._advance(through, [change for some in changes.values() for change in some])
                    return

    async def _react_to_all(self, groups: list[list[StoredEvent]]) -> list[list[PutWaiting | JoinWaiting]]:
        return await asyncio.gather(*(self._react_to(group) for group in groups))

    async def _react_to(self, group: list[StoredEvent]) -> list[PutWaiting | JoinWaiting]:
        """React to one aggregate's events in order, up to the first that fails."""
        async with self._room:
            for place, stored in enumerate(group):
                failed = await self._react(stored, attempt=1, since=now_micros())
                if failed is not None:
                    later = group[place + 1 :]
                    joins = [
                        JoinWaiting(reactor=self.reactor.name, key=one.key, position=one.position) for one in later
                    ]
                    return [PutWaiting(key=failed), *joins]
        return []

    async def _react(self, stored: StoredEvent, *, attempt: int, since: int) -> WaitingKey | None:
        """Call the handler; return how the event's key has to wait if it fails."""
        try:
            one = recorded(stored, self._parts.registry)
            handler = self.reactor.handlers.get(type(one.event))
            if handler is None:
                return None
            replay = stored.position <= self._since
            reaction = Reaction(self.reactor, one, attempt, replay, self._parts.bus, self._parts.records)
            name = self.reactor.name

            async def handle() -> None:
                await self._parts.watchdog.guard(name, handler(self.reactor, one, reaction))

            await through_middleware(self._parts.middleware, one, name, handle)
        except ShuttingDown:
            raise  # no failure of the reactor: the event is handled after the next start
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and being_cancelled():
                raise
            incident = incidents.report(
                "reactor failed", error, consumer=self.reactor.name, position=stored.position, attempt=attempt
            )
            return self._failed(stored, attempt, since, incident)
        return None

    def _failed(self, stored: StoredEvent, attempt: int, since: int, incident: str) -> WaitingKey:
        backoff = min(BACKOFF * 2 ** (attempt - 1), LONGEST_BACKOFF)
        parked = attempt >= self.reactor.max_attempts
        return WaitingKey(
            reactor=self.reactor.name,
            key=stored.key,
            position=stored.position,
            attempts=attempt,
            since=since,
            next_attempt_at=None if parked else now_micros() + int(backoff * 1_000_000),
            incident=incident,
        )

    async def _advance(self, through: Position, changes: Sequence[PutWaiting | JoinWaiting | LeaveWaiting]) -> None:
        """Move the checkpoint together with what waits. Call with the lock held."""
        verdict = await self._parts.queue.submit(
            AdvanceConsumer(
                name=self.reactor.name, generation=1, before=self._stored, after=through, waiting=tuple(changes)
            )
        )
        if isinstance(verdict, CheckpointMoved):
            if verdict.actual is not None:
                self._stored = verdict.actual
            raise Superseded(verdict.actual)
        self._stored = through
        for change in changes:
            if isinstance(change, PutWaiting):
                self.waiting[change.key.key] = change.key
                self._due.set()

    async def retry_waiting(self) -> None:
        """Try the keys that are due again, until cancelled."""
        while True:
            now = now_micros()
            due = [
                one for one in self.waiting.values() if one.next_attempt_at is not None and one.next_attempt_at <= now
            ]
            if due:
                results = await asyncio.gather(*(self._retry(one) for one in due), return_exceptions=True)
                for result in results:
                    if isinstance(result, ShuttingDown):
                        return
                    if isinstance(result, Exception):
                        incidents.report("reactor retry failed", result, consumer=self.reactor.name)
                        await asyncio.sleep(BACKOFF)
                continue
            if self._parts.shared:
                await self._read_waiting()
            upcoming = [one.next_attempt_at for one in self.waiting.values() if one.next_attempt_at is not None]
            seconds = min((min(upcoming, default=now + 60_000_000) - now) / 1_000_000, LOOK_SECONDS)
            self._due.clear()
            try:
                async with asyncio.timeout(max(seconds, 0.001)):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._due.wait()
            except TimeoutError:
                continue

    async def _read_waiting(self) -> None:
        """Take in what was resolved in another instance."""
        async with self._writing:
            try:
                rows = await self._parts.store.checkpoints.waiting_keys(self.reactor.name, limit=WAITING_KEYS)
            except StoreUnavailable:
                return
            self.waiting = {one.key: one for one in rows}

    async def _retry(self, waiting: WaitingKey) -> None:
        async with self._room:
            stored = await self._event_at(waiting.position)
            failed = None
            if stored is not None:
                failed = await self._react(stored, attempt=waiting.attempts + 1, since=waiting.since)
        if failed is not None:
            async with self._writing:
                await self._advance(self._stored, [PutWaiting(key=failed)])
        else:
            await self._leave(waiting)

    async def _leave(self, waiting: WaitingKey) -> None:
        """Let the first waiting event of a key go, and go on with the next one."""
        async with self._writing:
            leave = LeaveWaiting(reactor=self.reactor.name, key=waiting.key, position=waiting.position)
            await self._advance(self._stored, [leave])
            positions = await self._parts.store.checkpoints.waiting_positions(self.reactor.name, waiting.key, limit=1)
            if positions:
                self.waiting[waiting.key] = replace(
                    waiting, position=positions[0], attempts=0, next_attempt_at=now_micros(), since=now_micros()
                )
                self._due.set()
            else:
                self.waiting.pop(waiting.key, None)

    async def _event_at(self, position: Position) -> StoredEvent | None:
        page = await self._parts.store.events.read(
            after=Position(position - 1), filter=EventFilter(), limit=1, max_bytes=1
        )
        return page.events[0] if page.events else None

    async def resolve(self, key: AggregateKey, *, skip: bool) -> WaitingKey | None:
        """Retry a waiting key now, or skip the event that failed; None when the key does not wait."""
        waiting = self.waiting.get(key)
        if waiting is None:
            return None
        if skip:
            await self._leave(waiting)
        else:
            again = replace(waiting, attempts=0, next_attempt_at=now_micros())
            async with self._writing:
                await self._advance(self._stored, [PutWaiting(key=again)])
        return waiting

    def view(self) -> ConsumerView:
        """Describe the reactor."""
        return ConsumerView(
            name=self.reactor.name,
            kind=ConsumerKind.REACTOR,
            position=self.follower.position,
            head=self._parts.tail.level.position,
            generation=1,
            parked_keys=len(self.waiting),
            failure=self.follower.failure,
        )


class TooManyWaiting(Exception):
    """So many keys of a reactor wait that it stands still until some are resolved."""
