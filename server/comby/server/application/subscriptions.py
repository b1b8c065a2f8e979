"""Subscriptions: history, then live events, on one cursor that only reads the log; and finite reads.

A slow subscriber holds back its own stream by not taking what is yielded, and then reads from the store what the tail
has let go of.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

from comby.server.application.errors import (
    LogReplaced,
    Overloaded,
    PositionBeyondHead,
    UnknownType,
)
from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.application.read_ahead import ReadAhead
from comby.server.application.registry import Registry
from comby.server.application.requests import (
    AfterPosition,
    AfterToken,
    CaughtUp,
    Checkpoint,
    Confirmed,
    EventBatch,
    EventSelection,
    FromHead,
    FromTime,
    Goodbye,
    ReadRequest,
    SubscribeRequest,
    SubscriptionMessage,
)
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.elements import element, time_field
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import ElementPage, EventFilter, EventStore, StoredEvent

STORE_RETRY = 0.5
"""Seconds between reads while the store is away; the stream stays open."""


class Subscriptions:
    """Opens streams of events."""

    def __init__(
        self, events: EventStore, tail: LogTail, registry: Registry, tokens: ConsistencyTokens, limits: Limits
    ) -> None:
        self._events = events
        self._tail = tail
        self._registry = registry
        self._tokens = tokens
        self._limits = limits
        self._open = 0
        self._stopping = asyncio.Event()

    def begin_stop(self) -> None:
        """Make every subscription say goodbye."""
        self._stopping.set()

    async def subscribe(self, request: SubscribeRequest) -> AsyncIterator[SubscriptionMessage]:
        """Yield a subscription's messages; raises what `_start` does, or Overloaded, before the first."""
        if self._open >= self._limits.subscriptions:
            raise Overloaded("subscriptions", self._limits.subscriptions)
        filter = self._filter(request.selection)
        self._open += 1
        try:
            # The store's, not the tail's: the caller may have been told of more by another instance.
            head = await self._events.head()
            cursor = await self._start(request, head)
            yield Confirmed(str(uuid4()), self._events.identity, head, cursor)
            self._tail.hint(head)
            async for message in self._follow(cursor, head, filter, request.heartbeat):
                yield message
        finally:
            self._open -= 1

    async def _follow(
        self, cursor: Position, head: Position, filter: EventFilter, heartbeat: float
    ) -> AsyncIterator[SubscriptionMessage]:
        """Yield what comes after a position. It has caught up where it has come to the head of which the subscriber was told."""
        clock = asyncio.get_running_loop().time
        told = clock()
        live = False
        stopping = asyncio.get_running_loop().create_task(self._stopping.wait())
        pages = ReadAhead(self._tail, filter, self._limits)
        try:
            while not stopping.done():
                due = max(0.0, told + heartbeat - clock())
                page = await self._page(pages, cursor, stopping, due)
                if page is not None:
                    cursor = page.through
                    if page.count:
                        yield EventBatch(page.elements, page.count)
                        told = clock()
                if page is None or cursor < self._tail.level.position:
                    if clock() - told >= heartbeat:
                        yield Checkpoint(cursor)
                        told = clock()
                    continue
                if not live and cursor >= head:
                    live = True
                    yield CaughtUp(cursor)
                    told = clock()
                if not await self._wait(cursor, stopping, max(0.0, told + heartbeat - clock())):
                    yield Checkpoint(cursor)
                    told = clock()
            yield Goodbye("SHUTTING_DOWN", cursor)
        finally:
            stopping.cancel()
            pages.close()

    async def _page(
        self, pages: ReadAhead, cursor: Position, stopping: asyncio.Task[Any], seconds: float
    ) -> ElementPage | None:
        try:
            return await pages.page(cursor, stop=stopping, seconds=seconds)
        except StoreUnavailable:
            await asyncio.wait((stopping,), timeout=min(STORE_RETRY, seconds))
            return None

    async def _wait(self, cursor: Position, stopping: asyncio.Task[Any], seconds: float) -> bool:
        """Wait for the tail to move on, or the stop; answer False when the heartbeat is due first."""
        if self._tail.level.position > cursor:
            return True
        move = self._tail.level.next_move()
        done, _ = await asyncio.wait((move, stopping), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    async def _start(self, request: SubscribeRequest, head: Position) -> Position:
        """Resolve where to start. Raises LogReplaced, InvalidToken or PositionBeyondHead."""
        if request.log is not None and request.log != self._events.identity:
            raise LogReplaced(self._events.identity)
        match request.start:
            case AfterPosition(position):
                start = position
            case AfterToken(token):
                start = self._tokens.read(token)
            case FromTime(time):
                return await self._events.position_before(time)
            case FromHead():
                return head
        if start > head:
            raise PositionBeyondHead(position=start, head=head)
        return start

    async def read(self, request: ReadRequest) -> AsyncIterator[EventBatch]:
        """Yield a finite range in batches."""
        filter = self._filter(request.selection)
        limits = self._limits
        left = request.limit or None
        cursor = request.after
        head = await self._events.head()
        end = Position(1) if request.backwards else head
        if cursor > head:
            raise PositionBeyondHead(position=cursor, head=head)
        while head and (left is None or left > 0):
            size = limits.batch_events if left is None else min(left, limits.batch_events)
            page = await self._events.read(
                after=cursor, filter=filter, limit=size, max_bytes=limits.batch_bytes, backwards=request.backwards
            )
            events = [stored for stored in page.events if request.backwards or stored.position <= head]
            if events:
                yield _batch(events)
                left = None if left is None else left - len(events)
            cursor = page.through
            if (cursor <= end) if request.backwards else (cursor >= end):
                return

    def _filter(self, selection: EventSelection) -> EventFilter:
        """Turn a caller's selection into the store's. Raises UnknownType."""
        types: set[str] = set()
        for name in selection.types:
            kind = self._registry.event_named(name)
            if kind is None:
                raise UnknownType(name)
            types.update(kind.names)
        known = self._registry.domains()
        for domain in selection.domains:
            if domain not in known:
                raise UnknownType(domain)
        aggregate = None
        if selection.aggregate_id:
            if len(selection.domains) != 1:
                raise UnknownType(selection.aggregate_id)
            aggregate = AggregateKey(
                selection.context.tenant_id, next(iter(selection.domains)), selection.aggregate_id.lower()
            )
        return EventFilter(
            tenant_id=None if selection.all_tenants else selection.context.tenant_id,
            domains=frozenset() if aggregate else selection.domains,
            types=frozenset(types),
            aggregate=aggregate,
        )


def _batch(events: list[StoredEvent]) -> EventBatch:
    encoded = [element(stored.record, stored.position, time_field(stored.recorded_at))[0] for stored in events]
    return EventBatch(b"".join(encoded), len(events))
