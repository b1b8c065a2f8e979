"""The log as bytes for a stream: what `read` returns, complete, in the wire form."""

import pytest

from comby.facade.v1 import event_pb2
from comby.server.domain.identity import Position, Version
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.ports.store import Store
from tests.contract.making import append, check, command, committed, event, finish, order
from tests.contract.test_read_events import FILTERS, log

__all__ = ["log"]
PAGE = 1_000
BYTES = 1 << 20


async def test_elements_are_complete_events(store: Store) -> None:
    record = event_pb2.Event(event_id="e", type="Order.OrderPlaced").SerializeToString()
    one = order()
    events = tuple(event(one, version, record=record) for version in (1, 2, 3))
    await committed(store, finish(command(aggregate=one), checks=(check(one, 0),), events=events))
    page = await store.events.read(after=Position(0), filter=EventFilter(), limit=PAGE, max_bytes=BYTES)
    elements = await store.events.read_elements(after=Position(0), filter=EventFilter(), limit=PAGE, max_bytes=BYTES)
    complete = event_pb2.ReadEventsResponse.FromString(elements.elements).events
    assert (3, page.through) == (elements.count, elements.through)
    assert [1, 2, 3] == [one.position for one in complete]
    assert [stored.recorded_at for stored in page.events] == [one.recorded_at.ToMicroseconds() for one in complete]
    assert [record] * 3 == [stored.record for stored in page.events]
    assert ["e"] * 3 == [one.event_id for one in complete]


@pytest.mark.parametrize("filter", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize(("limit", "max_bytes"), [(1, BYTES), (7, BYTES), (PAGE, BYTES), (PAGE, 1)])
async def test_pages_of_elements_end_where_pages_of_events_end(
    store: Store, log: list[StoredEvent], filter: EventFilter, limit: int, max_bytes: int
) -> None:
    after = Position(0)
    while True:
        page = await store.events.read(after=after, filter=filter, limit=limit, max_bytes=max_bytes)
        elements = await store.events.read_elements(after=after, filter=filter, limit=limit, max_bytes=max_bytes)
        assert (len(page.events), page.through) == (elements.count, elements.through)
        if page.through == after:
            return
        after = page.through


@pytest.mark.parametrize(("after", "up_to", "limit"), [(0, None, PAGE), (3, 9, PAGE), (0, None, 4), (12, None, PAGE)])
async def test_a_history_is_what_the_aggregate_has(store: Store, after: int, up_to: int | None, limit: int) -> None:
    record = event_pb2.Event(type="Order.OrderPlaced").SerializeToString()
    one = order()
    await committed(store, append(one, 12, record=record), append(order("o-2"), 3, record=record))
    bound = None if up_to is None else Version(up_to)
    stored = await store.events.read_aggregate(one, after=Version(after), up_to=bound, limit=limit)
    history = await store.events.read_history(one, after=Version(after), up_to=bound, limit=limit)
    events = event_pb2.ReadEventsResponse.FromString(history).events
    assert [found.position for found in stored] == [event.position for event in events]
