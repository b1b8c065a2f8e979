"""Reading the log: pages forwards and backwards through every kind of filter, and one aggregate's events."""

from collections.abc import AsyncIterator

import pytest

from comby.server.domain.identity import AggregateKey, Position, Version
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.ports.store import Store
from tests.contract.making import all_events, append, check, command, committed, event, finish, order, positions, read

PLACED, PAID, TAKEN = "Order.OrderPlaced", "Order.OrderPaid", "Stock.Taken"
ONE, TWO, STOCK, FOREIGN = order("o-1"), order("o-2"), order("s-1", domain="Stock"), order("o-1", tenant_id="other")


@pytest.fixture
async def log(store: Store) -> list[StoredEvent]:
    """Twelve rounds of five events in four aggregates of two domains and two tenants."""
    for number in range(12):
        await committed(
            store,
            append(ONE, after=number, type=PLACED),
            append(STOCK, after=number, type=TAKEN),
            append(FOREIGN, after=number, type=PLACED),
            append(TWO, 2, after=2 * number, type=PAID),
        )
    return await all_events(store)


FILTERS = {
    "all": EventFilter(),
    "a tenant": EventFilter(tenant_id="acme"),
    "another tenant": EventFilter(tenant_id="other"),
    "an unknown tenant": EventFilter(tenant_id="nobody"),
    "a domain": EventFilter(domains=frozenset({"Stock"})),
    "both domains": EventFilter(domains=frozenset({"Stock", "Order"})),
    "a domain in a tenant": EventFilter(tenant_id="other", domains=frozenset({"Order"})),
    "a type": EventFilter(types=frozenset({PLACED})),
    "types": EventFilter(types=frozenset({PLACED, TAKEN, "Order.Never"})),
    "types in a tenant": EventFilter(tenant_id="acme", types=frozenset({PLACED, PAID})),
    "types in a domain": EventFilter(domains=frozenset({"Stock"}), types=frozenset({PLACED, TAKEN})),
    "types in a domain of a tenant": EventFilter(
        tenant_id="acme", domains=frozenset({"Order"}), types=frozenset({PLACED, TAKEN})
    ),
    "an aggregate": EventFilter(aggregate=ONE),
    "an aggregate of another tenant": EventFilter(aggregate=FOREIGN),
    "an aggregate outside the tenant": EventFilter(tenant_id="acme", aggregate=FOREIGN),
    "types of an aggregate": EventFilter(aggregate=TWO, types=frozenset({PAID})),
    "an aggregate without the type": EventFilter(aggregate=TWO, types=frozenset({PLACED})),
    "an unknown aggregate": EventFilter(aggregate=order("unknown")),
}


def matches(filter: EventFilter, found: StoredEvent) -> bool:
    return (
        (filter.tenant_id is None or filter.tenant_id == found.key.tenant_id)
        and (not filter.domains or found.key.domain in filter.domains)
        and (not filter.types or found.type in filter.types)
        and (filter.aggregate is None or filter.aggregate == found.key)
    )


async def pages(
    store: Store, filter: EventFilter, *, limit: int, backwards: bool, after: int
) -> AsyncIterator[StoredEvent]:
    """Read page after page, as a reader that resumes at `through`, until everything is examined."""
    end = 1 if backwards else await store.events.head()
    while True:
        page = await read(store, after, filter=filter, limit=limit, backwards=backwards)
        assert len(page.events) <= limit
        for found in page.events:
            yield found
        if page.through == end:
            return
        assert page.through < after or after == 0 if backwards else page.through > after
        after = page.through


@pytest.mark.parametrize("limit", [1, 7, 1_000])
@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_selects_what_matches_in_order(
    store: Store, log: list[StoredEvent], name: str, backwards: bool, limit: int
) -> None:
    filter = FILTERS[name]
    for after in (0, 17, 30):
        found = [found async for found in pages(store, filter, limit=limit, backwards=backwards, after=after)]
        if backwards:
            candidates = [entry for entry in reversed(log) if not after or entry.position < after]
        else:
            candidates = [entry for entry in log if entry.position > after]
        assert found == [entry for entry in candidates if matches(filter, entry)]


@pytest.mark.parametrize("name", FILTERS)
async def test_a_page_without_matches_has_examined_everything(store: Store, log: list[StoredEvent], name: str) -> None:
    filter = FILTERS[name]
    matching = [entry.position for entry in log if matches(filter, entry)]
    page = await read(store, max(matching, default=0), filter=filter)
    assert (positions(page), page.through) == ([], len(log))
    if matching:
        page = await read(store, min(matching), filter=filter, backwards=True)
        assert (positions(page), page.through) == ([], 1)


async def test_a_full_page_ends_at_its_last_event(store: Store, log: list[StoredEvent]) -> None:
    page = await read(store, filter=FILTERS["a type"], limit=3)
    assert (positions(page), page.through) == ([1, 3, 6], 6)
    page = await read(store, filter=FILTERS["a type"], limit=3, backwards=True)
    assert (positions(page), page.through) == ([58, 56, 53], 53)


async def test_an_empty_log_is_examined_at_once(store: Store) -> None:
    for filter in FILTERS.values():
        for backwards in (False, True):
            page = await read(store, filter=filter, backwards=backwards)
            assert (positions(page), page.through) == ([], 0)
    assert await store.events.head() == 0


async def test_a_page_ends_when_its_bytes_are_reached(store: Store) -> None:
    await committed(store, append(ONE, 6, record=b"x" * 100))
    page = await read(store, max_bytes=250)
    assert (positions(page), page.through) == ([1, 2, 3], 3)
    page = await read(store, max_bytes=250, backwards=True)
    assert (positions(page), page.through) == ([6, 5, 4], 4)


async def test_one_event_is_returned_however_large(store: Store) -> None:
    await committed(store, append(ONE, 2, record=b"x" * 100_000))
    page = await read(store, max_bytes=1)
    assert (positions(page), page.through) == ([1], 1)
    assert page.events[0].record == b"x" * 100_000
    page = await read(store, 1, max_bytes=1, filter=EventFilter(types=frozenset({PLACED})))
    assert (positions(page), page.through) == ([2], 2)


async def test_a_page_without_matches_moves_on_in_a_long_log(store: Store) -> None:
    count = 12_000
    await committed(store, append(ONE, count))
    await committed(store, append(TWO, type=PAID))
    filter = EventFilter(tenant_id="acme", domains=frozenset({"Order"}), types=frozenset({PLACED}), aggregate=TWO)
    assert [found async for found in pages(store, filter, limit=10, backwards=False, after=0)] == []
    filter = EventFilter(aggregate=ONE, types=frozenset({PAID}))
    for backwards in (False, True):
        assert [found async for found in pages(store, filter, limit=10, backwards=backwards, after=0)] == []
    await committed(store, append(ONE, after=count, type=PAID))
    for after, backwards in ((0, False), (count + 3, True)):
        found = [found async for found in pages(store, filter, limit=10, backwards=backwards, after=after)]
        assert [entry.position for entry in found] == [count + 2]
    filter = EventFilter(aggregate=ONE, domains=frozenset({"Order"}), types=frozenset({PLACED}))
    backwards_found = [found async for found in pages(store, filter, limit=5_000, backwards=True, after=0)]
    assert [entry.position for entry in backwards_found] == list(range(count, 0, -1))
    filter = EventFilter(domains=frozenset({"Order"}), types=frozenset({PAID}))
    assert [found.position async for found in pages(store, filter, limit=10, backwards=False, after=0)] == [
        count + 1,
        count + 2,
    ]


@pytest.mark.parametrize(
    ("after", "up_to", "limit", "expected"),
    [
        (0, None, 100, [1, 2, 3, 4, 5]),
        (2, None, 100, [3, 4, 5]),
        (2, 4, 100, [3, 4]),
        (0, None, 2, [1, 2]),
        (0, 0, 100, []),
        (5, None, 100, []),
        (0, 9, 100, [1, 2, 3, 4, 5]),
    ],
)
async def test_an_aggregate_is_read_by_versions(
    store: Store, after: int, up_to: int | None, limit: int, expected: list[int]
) -> None:
    for number in range(5):
        await committed(store, append(TWO, after=number), append(ONE, after=number, record=b"\xff%d" % number))
    found = await store.events.read_aggregate(
        ONE, after=Version(after), up_to=None if up_to is None else Version(up_to), limit=limit
    )
    assert [entry.version for entry in found] == expected
    assert [entry.record for entry in found] == [b"\xff%d" % (version - 1) for version in expected]


@pytest.mark.parametrize("key", [order("unknown"), FOREIGN, order("o-1", domain="Stock")])
async def test_another_aggregate_has_no_events(store: Store, key: AggregateKey) -> None:
    await committed(store, append(ONE))
    assert list(await store.events.read_aggregate(key, after=Version(0), limit=10)) == []
    assert await store.events.version(key) == (0, False)


async def test_the_position_before_a_time_is_the_last_one_recorded_before_it(store: Store) -> None:
    assert await store.events.position_before(2**60) == 0
    for number in range(40):
        events = [event(ONE, 2 * number + 1), event(ONE, 2 * number + 2)]
        await committed(store, finish(command(), checks=[check(ONE, 2 * number)], events=events, version=0))
    log = await all_events(store)
    for entry in log:
        before = [other.position for other in log if other.recorded_at < entry.recorded_at]
        assert await store.events.position_before(entry.recorded_at) == max(before, default=0)
    assert await store.events.position_before(log[-1].recorded_at + 1) == Position(80)
    assert await store.events.position_before(0) == 0
