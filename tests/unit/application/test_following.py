"""What a subscriber is told while the store is slow or away, and when it has caught up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from comby.server.application.event_bus import EventBus
from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.application.registry import Registry
from comby.server.application.requests import (
    AfterPosition,
    CaughtUp,
    Checkpoint,
    Confirmed,
    EventBatch,
    EventSelection,
    SubscribeRequest,
    SubscriptionMessage,
)
from comby.server.application.subscriptions import Subscriptions
from comby.server.application.tokens import ConsistencyTokens
from comby.server.bootstrap import open_store
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import Position
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import EventStore
from tests.contract.making import TENANT, append, committed, order

HISTORY = 9
BATCH = 3
LIMITS = Limits(batch_events=BATCH)


class Slow:
    """A store of events whose history is read when the test lets it, or not at all while it is away."""

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self.away = False
        self.answers = asyncio.Event()
        self.answers.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def read_elements(self, **which: Any) -> Any:
        if self.away:
            raise StoreUnavailable("away")
        await self.answers.wait()
        return await self._events.read_elements(**which)


@asynccontextmanager
async def history() -> AsyncIterator[tuple[Slow, LogTail]]:
    """A log that is only in the store, as after a start, and its tail, which runs."""
    async with open_store("sqlite://:memory:") as store:
        await committed(store, append(order(), HISTORY))
        events = Slow(store.events)
        tail = LogTail(events, EventBus(Position(HISTORY)), LIMITS, lambda read: None)  # type: ignore[arg-type]
        running = asyncio.create_task(tail.run())
        try:
            yield events, tail
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running


def subscribed(events: Slow, tail: LogTail, *, after: int = 0) -> AsyncIterator[SubscriptionMessage]:
    """Subscribe to everything, with a heartbeat of a twentieth of a second."""
    subscriptions = Subscriptions(events, tail, Registry(), ConsistencyTokens(events.identity), LIMITS)  # type: ignore[arg-type]
    selection = EventSelection(
        context=RequestContext(tenant_id=TENANT),
        domains=frozenset(),
        types=frozenset(),
        aggregate_id="",
        all_tenants=True,
    )
    return subscriptions.subscribe(
        SubscribeRequest(selection=selection, start=AfterPosition(Position(after)), heartbeat=0.05, log=None)
    )


async def test_one_in_history_hears_heartbeats_while_the_store_is_away() -> None:
    """Seen failing: it was told nothing until the store was back, and took the stream for dead."""
    async with history() as (events, tail), asyncio.timeout(20):
        messages = subscribed(events, tail)
        assert isinstance(await anext(messages), Confirmed)
        assert isinstance(await anext(messages), EventBatch)
        events.away = True
        rest = [await anext(messages) for _ in range(4)]
        assert [Checkpoint] * 2 == [type(one) for one in rest[-2:]]
        events.away = False
        counted = sum([one.count for one in rest if isinstance(one, EventBatch)], BATCH)
        while not isinstance(message := await anext(messages), CaughtUp):
            counted += message.count if isinstance(message, EventBatch) else 0
        assert (HISTORY, HISTORY) == (counted, message.position)


async def test_one_in_history_hears_heartbeats_while_a_page_takes_its_time() -> None:
    """Seen failing: it was told nothing until the page was there."""
    async with history() as (events, tail), asyncio.timeout(20):
        events.answers.clear()
        messages = subscribed(events, tail)
        assert isinstance(await anext(messages), Confirmed)
        assert [Checkpoint(Position(0))] * 3 == [await anext(messages) for _ in range(3)]
        events.answers.set()
        assert [BATCH] * 3 == [
            one.count for one in [await anext(messages) for _ in range(3)] if isinstance(one, EventBatch)
        ]


async def test_nobody_has_caught_up_before_the_head_of_which_it_was_told() -> None:
    """Another instance has written. Seen failing: the subscriber had caught up with what this one knew."""
    async with history() as (events, tail), asyncio.timeout(20):
        await events.commit([append(order("o-2"))])
        messages = subscribed(events, tail, after=HISTORY)
        confirmed = await anext(messages)
        assert isinstance(confirmed, Confirmed)
        assert HISTORY + 1 == confirmed.head
        assert isinstance(await anext(messages), EventBatch)
        assert CaughtUp(confirmed.head) == await anext(messages)
