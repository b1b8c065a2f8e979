"""The rules of an order: given what happened, when a command comes, then this is recorded or refused."""

from comby.server.testing import Kit
from shop.app import app
from shop.order.v1.order_pb2 import (
    ORDER_STATUS_SHIPPED,
    AddLine,
    CancelOrder,
    LineAdded,
    LineReserved,
    Order,
    OrderCancelled,
    OrderLine,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    PayOrder,
    PlaceOrder,
    ShipOrder,
)
from shop.order.v1.order_types import OrderReason

kit = Kit(app)
TEA = "5f6c1c9e-4d53-4c77-9a4e-000000000001"
CUP = "5f6c1c9e-4d53-4c77-9a4e-000000000002"
TWO_TEAS = OrderLine(stock_id=TEA, quantity=2, unit_price_cents=450)
ONE_CUP = OrderLine(stock_id=CUP, quantity=1, unit_price_cents=1200)
PLACED = OrderPlaced(customer_email="ada@example.com", lines=[TWO_TEAS])
PAID = OrderPaid(amount_cents=900)
RESERVED = LineReserved(stock_id=TEA)
SHIPPED = OrderShipped(tracking_code="P-1")
CANCELLED = OrderCancelled(reason="changed my mind")


def test_an_order_is_placed() -> None:
    kit.when(PlaceOrder(customer_email="ada@example.com", lines=[TWO_TEAS])).then(PLACED)


def test_two_lines_of_one_item_are_refused() -> None:
    placed = kit.when(PlaceOrder(customer_email="ada@example.com", lines=[TWO_TEAS, TWO_TEAS]))
    placed.rejected(OrderReason.DUPLICATE_LINE, stock_id=TEA)


def test_an_order_is_placed_once() -> None:
    kit.given(PLACED).when(PlaceOrder(customer_email="ada@example.com", lines=[TWO_TEAS])).rejected("AGGREGATE_EXISTS")


def test_a_line_is_added() -> None:
    added = kit.given(PLACED).when(AddLine(line=ONE_CUP)).then(LineAdded(line=ONE_CUP))
    added.state(Order(total_cents=2100))


def test_a_line_that_is_there_is_refused() -> None:
    kit.given(PLACED).when(AddLine(line=TWO_TEAS)).rejected(OrderReason.DUPLICATE_LINE, stock_id=TEA)


def test_no_line_is_added_once_it_is_paid() -> None:
    added = kit.given(PLACED, PAID).when(AddLine(line=ONE_CUP))
    added.rejected(OrderReason.NOT_PLACED, status="ORDER_STATUS_PAID")


def test_an_order_is_paid_in_full() -> None:
    kit.given(PLACED).when(PayOrder(amount_cents=900)).then(PAID)


def test_another_amount_is_refused() -> None:
    kit.given(PLACED).when(PayOrder(amount_cents=899)).rejected(OrderReason.WRONG_AMOUNT, total_cents=900)


def test_an_order_is_paid_once() -> None:
    kit.given(PLACED, PAID).when(PayOrder(amount_cents=900)).rejected(OrderReason.NOT_PLACED)


def test_an_order_is_shipped() -> None:
    shipped = kit.given(PLACED, RESERVED, PAID).when(ShipOrder(tracking_code="P-1")).then(SHIPPED)
    shipped.state(Order(status=ORDER_STATUS_SHIPPED, tracking_code="P-1"))


def test_what_is_not_paid_is_not_shipped() -> None:
    kit.given(PLACED, RESERVED).when(ShipOrder(tracking_code="P-1")).rejected(OrderReason.NOT_PAID)


def test_what_is_not_reserved_is_not_shipped() -> None:
    shipped = kit.given(PLACED, PAID).when(ShipOrder(tracking_code="P-1"))
    shipped.rejected(OrderReason.NOT_RESERVED, stock_id=TEA)


def test_an_order_is_cancelled_and_tells_what_to_put_back() -> None:
    cancelled = kit.given(PLACED, RESERVED).when(CancelOrder(reason="changed my mind"))
    cancelled.then(OrderCancelled(reason="changed my mind", reserved=[TEA]))


def test_what_is_on_its_way_is_not_cancelled() -> None:
    cancelled = kit.given(PLACED, RESERVED, PAID, SHIPPED).when(CancelOrder(reason="too late"))
    cancelled.rejected(OrderReason.SHIPPED)


def test_a_cancelled_order_is_immutable() -> None:
    for command in (
        AddLine(line=ONE_CUP),
        PayOrder(amount_cents=900),
        ShipOrder(tracking_code="P-1"),
        CancelOrder(reason="again"),
    ):
        kit.given(PLACED, CANCELLED).when(command).rejected(OrderReason.CANCELLED)


def test_an_order_that_was_never_placed_is_not_found() -> None:
    kit.when(PayOrder(amount_cents=900)).rejected("AGGREGATE_NOT_FOUND")
