"""The process between order and stock, on a real server that is killed in the middle of it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import comby.client
from comby.client import Comby, RetryPolicy
from shop.demo_server import ShopServer, shop_server
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import ORDER_STATUS_CANCELLED, Order, OrderLine
from shop.stock.v1.stock_client import StockClient
from shop.stock.v1.stock_pb2 import Stock, StockReleased, StockReserved

PATIENT = RetryPolicy(attempts=100, maximum=0.5)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ShopServer]:
    async with shop_server(tmp_path / "shop.db") as server:
        yield server


async def test_every_order_is_reserved_or_cancelled_and_no_stock_is_lost(server: ShopServer) -> None:
    async with comby.client.connect(server.address, retry=PATIENT) as facade:
        orders, stocks = OrderClient(facade), StockClient(facade)
        tea = (await stocks.add_stock(sku="tea", quantity=30)).aggregate_id
        cup = (await stocks.add_stock(sku="cup", quantity=10)).aggregate_id
        lines = [OrderLine(stock_id=stock_id, quantity=1, unit_price_cents=100) for stock_id in (tea, cup)]
        placed = await asyncio.gather(
            *(orders.place_order(customer_email="ada@example.com", lines=lines, wait="accepted") for _ in range(20))
        )
        await server.end(signal.SIGKILL)
        await server.start()

        await asyncio.gather(*(receipt.wait("executed") for receipt in placed))
        settled = await asyncio.gather(*(_settled(orders, receipt.aggregate_id) for receipt in placed))
        cancelled = [order for order in settled if order.status == ORDER_STATUS_CANCELLED]
        assert 10 == len(cancelled), "there are ten cups for twenty orders"
        assert {"OUT_OF_STOCK"} == {order.cancel_reason for order in cancelled}

        released = await _until_released(facade, 10)
        assert {order.order_id for order in cancelled} == released
        left = {stock.sku: stock for stock in [await _stock(stocks, tea), await _stock(stocks, cup)]}
        assert (20, 0) == (left["tea"].available, left["cup"].available)
        kept = {order.order_id for order in settled} - released
        assert kept == set(left["tea"].reserved) == set(left["cup"].reserved)
        reserved = [one.event.order_id async for one in facade.read_events(StockReserved, aggregate_id=cup)]
        assert sorted(kept) == sorted(reserved), "each order is reserved once, over the crash too"


async def _settled(orders: OrderClient, order_id: str) -> Order:
    async for order in orders.watch_order(order_id=order_id):
        if order.status == ORDER_STATUS_CANCELLED or len(order.reserved) == len(order.lines):
            return order
    raise AssertionError("the live query ended")


async def _until_released(facade: Comby, number: int) -> set[str]:
    released: set[str] = set()
    async with facade.subscribe(StockReleased) as events:
        async for recorded in events:
            released.add(recorded.event.order_id)
            if len(released) == number:
                break
    return released


async def _stock(stocks: StockClient, stock_id: str) -> Stock:
    return await stocks.get_stock(stock_id=stock_id)
