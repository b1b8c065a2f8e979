"""The main story: callers in four ways sell at once while a subscriber sees it all; the server is killed, and nothing is missing."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterable

import pytest
from google.protobuf.message import Message

import comby.client
from comby.client import Comby, Recorded, RetryPolicy
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import ORDER_STATUS_SHIPPED, OrderPlaced
from tests.polyglot.grpcurl_program import Grpcurl
from tests.polyglot.sellers import Acknowledged, sell_with_client, sell_with_grpcurl, sell_with_sdk
from tests.polyglot.shop_process import ShopProcess

ORDERS = 5
"""Of each seller."""
ORDERS_UNDER_KILLS = 40
KILLS = 3
SECONDS_BETWEEN_KILLS = 1.0
CATCH_UP_SECONDS = 30.0
PATIENT = RetryPolicy(attempts=100, maximum=0.5)
"""Longer than a server takes to start anew."""
EVENTS_OF_ORDER = ["Order.LineReserved", "Order.OrderPaid", "Order.OrderPlaced", "Order.OrderShipped"]

Log = list[Recorded[Message]]


@contextlib.asynccontextmanager
async def watching(comby: Comby) -> AsyncIterator[Log]:
    """Subscribe to every event, and yield what was handled so far; it goes on over every restart of the server."""
    seen: Log = []

    async def watch() -> None:
        async for recorded in comby.subscribe(after=0, heartbeat=1.0):
            seen.append(recorded)

    task = asyncio.create_task(watch())
    yield seen
    assert not task.done(), task
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_four_callers_and_a_subscriber_over_a_kill(
    shop: ShopProcess, grpcurl: str, go_client: list[str], node_client: list[str]
) -> None:
    async with comby.client.connect(shop.address, retry=PATIENT) as caller, watching(caller) as seen:
        sold = await asyncio.gather(
            sell_with_grpcurl(Grpcurl(grpcurl, shop.address), "curl@shop.example", ORDERS),
            sell_with_client(go_client, shop.address, "go@shop.example", ORDERS),
            sell_with_client(node_client, shop.address, "node@shop.example", ORDERS),
            sell_with_sdk(caller, "python@shop.example", ORDERS),
        )
        acknowledged = [one for receipts in sold for one in receipts]
        assert 4 * (1 + 3 * ORDERS) == len(acknowledged)
        before = await _log(caller)
        await _seen_up_to(seen, before)
        _assert_complete(before, acknowledged)

        shop.kill()
        shop.start()

        after = await _log(caller)
        assert before == after
        await _assert_sold(caller, acknowledged)
        more = await sell_with_sdk(caller, "later@shop.example", 1)
        at_last = await _log(caller)
        _assert_complete(at_last, [*acknowledged, *more])
        await _seen_up_to(seen, at_last)
        assert [one.position for one in at_last] == [one.position for one in seen]  # each once, in order


@pytest.mark.timeout(240, func_only=True)
async def test_kills_in_the_middle_of_sales(shop: ShopProcess, go_client: list[str], node_client: list[str]) -> None:
    customers = ["go@shop.example", "node@shop.example", "python@shop.example"]
    async with comby.client.connect(shop.address, retry=PATIENT) as caller, watching(caller) as seen:
        sales = asyncio.gather(
            sell_with_client(go_client, shop.address, customers[0], ORDERS_UNDER_KILLS),
            sell_with_client(node_client, shop.address, customers[1], ORDERS_UNDER_KILLS),
            sell_with_sdk(caller, customers[2], ORDERS_UNDER_KILLS),
        )
        heads = []
        for _ in range(KILLS):
            await _grown(seen, 20)
            heads.append(len(seen))
            shop.kill()
            shop.start()
        sold = await sales
        acknowledged = [one for receipts in sold for one in receipts]
        log = await _log(caller)
        assert heads[-1] < len(log)  # the kills came while they sold
        _assert_complete(log, acknowledged)
        await _assert_sold(caller, acknowledged)
        placed = Counter(one.event.customer_email for one in log if isinstance(one.event, OrderPlaced))
        assert dict.fromkeys(customers, ORDERS_UNDER_KILLS) == placed  # what was sent again took effect once
        await _seen_up_to(seen, log)
        assert [one.event_id for one in log] == [one.event_id for one in seen]


async def _log(caller: Comby) -> Log:
    return [recorded async for recorded in caller.read_events()]


async def _seen_up_to(seen: Log, log: Log) -> None:
    async with asyncio.timeout(CATCH_UP_SECONDS):
        while not seen or seen[-1].position < log[-1].position:
            await asyncio.sleep(0.02)


async def _grown(seen: Log, events: int) -> None:
    wanted = len(seen) + events
    async with asyncio.timeout(CATCH_UP_SECONDS):
        while len(seen) < wanted:
            await asyncio.sleep(0.005)


def _assert_complete(log: Log, acknowledged: Iterable[Acknowledged]) -> None:
    """Positions are gapless, and every acknowledged event is there once, where its receipt says."""
    assert list(range(1, len(log) + 1)) == [one.position for one in log]
    recorded = {one.event_id: one for one in log}
    assert len(log) == len(recorded)
    for one in acknowledged:
        assert one.event_ids, one
        events = [recorded[event_id] for event_id in one.event_ids]
        assert {(one.aggregate_id, one.request_id)} == {(event.aggregate_id, event.request_id) for event in events}
        assert one.version == events[-1].version
        assert list(one.event_ids) == [event.event_id for event in log if event.request_id == one.request_id]


async def _assert_sold(caller: Comby, acknowledged: Iterable[Acknowledged]) -> None:
    """Every order is shipped, by its state, its history and the board, and every receipt is given again."""
    orders = OrderClient(caller)
    for one in acknowledged:
        stored = await caller.get_command(one.request_id)
        assert one.event_ids == tuple(stored.receipt.event_ids)
        if one.did != "ship_order":
            continue
        assert ORDER_STATUS_SHIPPED == (await orders.get_order(order_id=one.aggregate_id)).status
        history = [event async for event in caller.read_events(domains=["Order"], aggregate_id=one.aggregate_id)]
        assert EVENTS_OF_ORDER == sorted(event.type for event in history)
        assert list(range(1, len(history) + 1)) == [event.version for event in history]
    shipped = {one.aggregate_id for one in acknowledged if one.did == "ship_order"}
    page = await orders.list_orders(status=ORDER_STATUS_SHIPPED, page_size=1000)
    assert shipped <= {summary.order_id for summary in page.orders}
