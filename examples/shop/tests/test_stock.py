"""The rules of the stock, and of the reservation that writes to stock and order at once."""

from comby.server.testing import Kit
from shop.app import app
from shop.order.v1.order_pb2 import LineReserved, OrderCancelled, OrderLine, OrderPlaced
from shop.stock.v1.stock_pb2 import (
    AddStock,
    ReleaseStock,
    ReserveStock,
    Stock,
    StockAdded,
    StockReleased,
    StockReserved,
)
from shop.stock.v1.stock_types import StockReason

kit = Kit(app)
TEA = "5f6c1c9e-4d53-4c77-9a4e-000000000001"
ORDER = "0a9b2a3e-7d0f-4c0e-8e0e-000000000001"
ADDED = StockAdded(sku="tea", quantity=3)
PLACED = OrderPlaced(
    customer_email="ada@example.com", lines=[OrderLine(stock_id=TEA, quantity=2, unit_price_cents=450)]
)
RESERVED = StockReserved(order_id=ORDER, quantity=2)
RESERVE = ReserveStock(stock_id=TEA, order_id=ORDER, quantity=2)


def test_stock_is_added() -> None:
    kit.when(AddStock(sku="tea", quantity=3)).then(ADDED).state(Stock(sku="tea", available=3))


def test_a_reservation_is_written_to_stock_and_order() -> None:
    reserved = kit.given(ADDED).given(PLACED, aggregate_id=ORDER).when(RESERVE)
    reserved.state(Stock(available=1, reserved={ORDER: 2}))
    assert {type(RESERVED), LineReserved} == {type(event) for event in reserved.events}


def test_what_is_not_there_is_not_reserved() -> None:
    reserved = (
        kit.given(StockAdded(sku="tea", quantity=1))
        .given(PLACED, aggregate_id=ORDER)
        .when(ReserveStock(stock_id=TEA, order_id=ORDER, quantity=2))
    )
    reserved.rejected(StockReason.OUT_OF_STOCK, available=1)


def test_nothing_is_reserved_for_a_cancelled_order() -> None:
    reserved = kit.given(ADDED).given(PLACED, OrderCancelled(reason="no"), aggregate_id=ORDER).when(RESERVE)
    reserved.rejected(StockReason.ORDER_CLOSED, order_id=ORDER)


def test_what_is_reserved_is_not_reserved_again() -> None:
    given = kit.given(ADDED, RESERVED).given(PLACED, LineReserved(stock_id=TEA), aggregate_id=ORDER)
    given.when(RESERVE).then()


def test_stock_is_put_back() -> None:
    released = kit.given(ADDED, RESERVED).when(ReleaseStock(stock_id=TEA, order_id=ORDER))
    released.then(StockReleased(order_id=ORDER, quantity=2)).state(Stock(available=3))


def test_what_is_put_back_already_is_left() -> None:
    kit.given(ADDED).when(ReleaseStock(stock_id=TEA, order_id=ORDER)).then()
