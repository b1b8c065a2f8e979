"""The commit queue: whatever waits while one transaction runs becomes the next (group commit).

It stands between all that writes and the store. Each request gets its own verdict, in the order in which requests came.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

from comby.server.application import incidents
from comby.server.application.event_bus import EventBus
from comby.server.application.limits import Limits
from comby.server.domain.identity import Position
from comby.server.ports.broker import Announcement
from comby.server.ports.command_store import NewCommand
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    CommandAccepted,
    CommandMoved,
    Committed,
    EventStore,
    FinishCommand,
    RetryCommand,
    StoredEvent,
    Verdict,
    Write,
)

BUSY_REQUESTS = 4
"""From so many in the last transactions on, the next one lets more arrive first: fewer, larger ones cost less."""
ENOUGH_REQUESTS = 64
"""From so many waiting on, neither more nor the end of another transaction is waited for: more in one cost no less each, and a pipeline
would stand still meanwhile."""
LINGER_SECONDS = 0.001
"""How long at a time: it goes on for as long as some did arrive, and the store gains by it. A lone caller is never held up."""


Told: TypeAlias = Callable[[Verdict | StoreUnavailable], None]
"""Called once with the verdict of a request, or with StoreUnavailable when nothing of it is stored."""
Batch: TypeAlias = Sequence[tuple[Write, Told]]


class CommitQueue:
    """Run `run` as a task; `write` and `submit` from anywhere on its loop. `committed` is told the events of each batch, in their
    order."""

    def __init__(
        self,
        events: EventStore,
        bus: EventBus,
        limits: Limits,
        committed: Callable[[Sequence[StoredEvent]], None],
        announce: Callable[[Announcement], None] | None = None,
    ) -> None:
        """`announce` is told what other instances may wait for; None where there are none."""
        self._events = events
        self._committed = committed
        self._announce = announce
        self._bus = bus
        self._limits = limits
        self._waiting: deque[tuple[Write, Told]] = deque()
        self._arrived = asyncio.Event()
        self._in_flight: deque[asyncio.Task[None]] = deque()
        self._idle = asyncio.Event()
        self._idle.set()

    def write(self, write: Write, told: Told) -> None:
        """Queue a request; `told` is called with its verdict, in the order of requests, once what was written can be read."""
        if not self._waiting:
            self._arrived.set()
            self._idle.clear()
        self._waiting.append((write, told))

    def submit(self, write: Write) -> asyncio.Future[Verdict]:
        """Queue a request; the future gets its verdict, or StoreUnavailable when nothing of it is stored."""
        future: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        self.write(write, partial(_answer, future))
        return future

    async def drained(self) -> None:
        """Wait until nothing is queued or being written."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write batches until cancelled: while many requests wait, as many at once as the store takes."""
        busy = 0
        try:
            while True:
                await self._arrived.wait()
                while len(self._in_flight) >= self._at_once():
                    await asyncio.wait((self._in_flight[0],))
                if busy >= BUSY_REQUESTS and len(self._waiting) < min(busy, ENOUGH_REQUESTS):
                    await self._let_arrive()
                batch = self._take()
                busy = max(len(batch), busy // 2)  # a single small one among large ones tells nothing
                if not self._waiting:
                    self._arrived.clear()
                before = self._in_flight[-1] if self._in_flight else None
                self._in_flight.append(asyncio.get_running_loop().create_task(self._run(batch, before)))
        finally:
            for task in self._in_flight:
                task.cancel()

    def _at_once(self) -> int:
        """Return how many commits may be under way: only one while few requests wait, which gather meanwhile."""
        return self._events.commits_at_once if len(self._waiting) >= ENOUGH_REQUESTS else 1

    async def _let_arrive(self) -> None:
        for _ in range(self._events.lingers):
            before = len(self._waiting)
            await asyncio.sleep(LINGER_SECONDS)
            if len(self._waiting) == before or len(self._waiting) >= ENOUGH_REQUESTS:
                return

    async def _run(self, batch: Batch, before: asyncio.Task[None] | None) -> None:
        """Write a batch, and tell its verdicts after those of the one before."""
        verdicts = await self._commit([write for write, _ in batch])
        if before is not None and not before.done():
            await asyncio.wait((before,))
        self._in_flight.popleft()
        self._conclude(batch, verdicts)
        if not self._waiting and not self._in_flight:
            self._idle.set()

    def _conclude(self, batch: Batch, verdicts: Sequence[Verdict | StoreUnavailable]) -> None:
        events: list[StoredEvent] = []
        for (write, _), verdict in zip(batch, verdicts, strict=True):
            if type(verdict) is Committed and type(write) is FinishCommand and write.events:
                _add_stored(events, write, verdict)
        if events:
            self._committed(events)
            self._bus.rise(events[-1].position)
        for (_, told), verdict in zip(batch, verdicts, strict=True):
            try:
                told(verdict)
            except Exception as error:
                incidents.report("verdict not taken", error)
        if self._announce is not None:
            self._tell(batch, verdicts, self._announce)

    def _tell(
        self,
        batch: Batch,
        verdicts: Sequence[Verdict | StoreUnavailable],
        announce: Callable[[Announcement], None],
    ) -> None:
        opened: set[int] = set()
        ended = False
        for (write, _), verdict in zip(batch, verdicts, strict=True):
            match write, verdict:
                case AcceptCommand(), CommandAccepted():
                    opened.add(write.command.partition)
                case RetryCommand(), CommandMoved(stored):
                    opened.add(stored.partition)
                case FinishCommand(), Committed():
                    ended = True
                case CancelCommand(), CommandMoved():
                    ended = True
                case _:
                    continue
        if opened or ended:
            announce(Announcement(head=self._bus.position, opened=frozenset(opened), ended=ended))

    def _take(self) -> Batch:
        batch: list[tuple[Write, Told]] = []
        size = 0
        while self._waiting and len(batch) < self._limits.commit_batch and size < self._limits.commit_batch_bytes:
            item = self._waiting.popleft()
            batch.append(item)
            write = item[0]
            if type(write) is FinishCommand:
                for event in write.events:
                    size += len(event.record)
            if type(write) is FinishCommand or type(write) is AcceptCommand:
                command = write.command
                if type(command) is NewCommand:
                    size += len(command.command)
        return batch

    async def _commit(self, writes: list[Write]) -> Sequence[Verdict | StoreUnavailable]:
        try:
            return await self._events.commit(writes)
        except StoreUnavailable as error:
            return [error] * len(writes)
        except Exception as error:
            if isinstance(error, ValueError) and len(writes) > 1:  # one of them can not be stored: the others can
                return [verdict for write in writes for verdict in await self._commit([write])]
            incidents.report("commit failed", error, requests=len(writes))
            return [StoreUnavailable()] * len(writes)


def _add_stored(events: list[StoredEvent], write: FinishCommand, verdict: Committed) -> None:
    """Add a command's events as the log has them: they stand together, and `last` is the position of the last."""
    position = verdict.last - len(write.events)
    for event in write.events:
        position += 1
        events.append(
            StoredEvent(Position(position), verdict.recorded_at, event.key, event.version, event.type, event.record)
        )


def _answer(future: asyncio.Future[Verdict], verdict: Verdict | StoreUnavailable) -> None:
    if future.done():
        return
    if isinstance(verdict, StoreUnavailable):
        future.set_exception(verdict)
    else:
        future.set_result(verdict)
