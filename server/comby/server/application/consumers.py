"""What projections and reactors have in common: following the log by position, one page at a time, and failing in the
open."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from comby.server.application import incidents
from comby.server.application.cancellation import being_cancelled
from comby.server.application.claims import now_micros
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.errors import ShuttingDown
from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.application.registry import Registry
from comby.server.application.requests import ConsumerFailure
from comby.server.application.watchdog import Watchdog
from comby.server.domain.identity import Position
from comby.server.domain.middleware import EventMiddleware
from comby.server.domain.recorded import Recorded
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.ports.store import Store

BACKOFF = 0.1
"""Seconds before a failed page is tried again; doubled each time."""
LONGEST_BACKOFF = 10.0
PAGE_EVENTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerParts:
    """What every projection and every reactor is given. `owns_duty` tells whether one runs here; `shared` whether it may run elsewhere."""

    store: Store
    queue: CommitQueue
    tail: LogTail
    registry: Registry
    middleware: list[EventMiddleware]
    watchdog: Watchdog
    limits: Limits
    owns_duty: Callable[[str], bool]
    shared: bool


class Superseded(Exception):
    """Somebody else moved the checkpoint."""

    def __init__(self, actual: Position | None) -> None:
        super().__init__()
        self.actual = actual


class Follower:
    """Follows the log with a filter, and hands pages to `handle`, which moves the checkpoint."""

    def __init__(
        self,
        name: str,
        tail: LogTail,
        filter: EventFilter,
        limits: Limits,
        position: Position,
        handle: Callable[["Follower", list[StoredEvent], Position], Awaitable[None]],
    ) -> None:
        self.name = name
        self.position = position
        self.failure: ConsumerFailure | None = None
        self.failing_at = Position(0)
        self._tail = tail
        self._filter = filter
        self._limits = limits
        self._handle = handle
        self._moved: asyncio.Future[None] | None = None
        self._retired = False

    async def run(self) -> None:
        """Follow until cancelled, or until the consumer is gone."""
        tries = 0
        while True:
            try:
                await self._step()
                tries = 0
            except Superseded as superseded:
                if superseded.actual is None:
                    return
                self._move(superseded.actual)
            except ShuttingDown:
                return
            except StoreUnavailable:
                await asyncio.sleep(BACKOFF * 5)
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and being_cancelled():
                    raise
                tries += 1
                self._note(error, tries)
                await asyncio.sleep(min(BACKOFF * 2 ** min(tries - 1, 10), LONGEST_BACKOFF))

    async def _step(self) -> None:
        page = await self._tail.page(self.position, self._filter, limit=PAGE_EVENTS, max_bytes=self._limits.batch_bytes)
        if page.events:
            await self._handle(self, list(page.events), page.through)
        if page.through > self.position:
            self._move(page.through)
        self.failure = None
        if self.position >= self._tail.level.position:
            await self._tail.level.above(self.position)

    async def reached(self, position: Position) -> None:
        """Wait until everything up to a position is handled, or the follower is retired."""
        while self.position < position and not self._retired:
            if self._moved is None:
                self._moved = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._moved,))

    def note(self, position: Position) -> None:
        """Note that everything up to a position is handled elsewhere."""
        if position > self.position:
            self._move(position)

    def retire(self) -> None:
        """Let go of those who wait: another has taken over."""
        self._retired = True
        self._wake()

    def _move(self, position: Position) -> None:
        self.position = position
        self._wake()

    def _wake(self) -> None:
        moved, self._moved = self._moved, None
        if moved is not None and not moved.done():
            moved.set_result(None)

    def _note(self, error: BaseException, tries: int) -> None:
        since = self.failure.since if self.failure else now_micros()
        incident = incidents.report(
            "consumer failed", error, consumer=self.name, position=self.failing_at, attempt=tries
        )
        self.failure = ConsumerFailure(position=self.failing_at, attempts=tries, since=since, incident=incident)


async def through_middleware(
    middleware: list[EventMiddleware], recorded: Recorded[Any], consumer: str, handler: Callable[[], Awaitable[None]]
) -> None:
    """Call a handler inside the middleware."""

    async def proceed(depth: int = 0) -> None:
        if depth < len(middleware):
            await middleware[depth].on_event(recorded, consumer, lambda: proceed(depth + 1))
        else:
            await handler()

    await proceed()
