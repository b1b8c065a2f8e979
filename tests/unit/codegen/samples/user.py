"""What a user of the generated code writes; the type checkers read it, nothing runs it."""

from datetime import UTC, datetime
from typing import assert_type

from comby.client import Receipt, Recorded, Rejected, Stage, Subscription, connect
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import (
    ORDER_STATUS_PLACED,
    LineAdded,
    LineReserved,
    Order,
    OrderCancelled,
    OrderLine,
    OrderPage,
    OrderPaid,
    OrderPlaced,
    OrderShipped,
    PlaceOrder,
)
from shop.order.v1.order_types import OrderEvent, OrderReason


async def main() -> None:
    async with connect("localhost:50051") as comby:
        orders = OrderClient(comby)
        lines = [OrderLine(stock_id="a", quantity=1)]
        receipt = await orders.place_order(lines=lines, customer_email="a@b.c", wait="projected", expected_version=0)
        assert_type(receipt, Receipt)
        await orders.place_order(PlaceOrder(lines=lines), wait=Stage.ACCEPTED, not_before=datetime.now(UTC))
        order = await orders.get_order(order_id=receipt.aggregate_id, consistency=receipt.consistency_token)
        assert_type(order, Order)
        page = await orders.list_orders(status=ORDER_STATUS_PLACED, page_size=10)
        assert_type(page, OrderPage)
        async for watched in orders.watch_order(order_id=order.order_id):
            assert_type(watched, Order)
        subscription = comby.subscribe(OrderPlaced, OrderPaid, after=0)
        assert_type(subscription, Subscription[OrderPlaced | OrderPaid])
        async for recorded in subscription:
            assert_type(recorded, Recorded[OrderPlaced | OrderPaid])
            match recorded.event:
                case OrderPlaced(customer_email=email):
                    assert_type(email, str)
                case OrderPaid(amount_cents=cents):
                    assert_type(cents, int)
        state = await comby.get_aggregate(Order, order.order_id, version=1)
        assert_type(state.state, Order)
        async with comby.pipeline() as pipeline:
            assert_type(await (await pipeline.dispatch(PlaceOrder())), Receipt)
        try:
            await orders.pay_order(order_id=order.order_id, amount_cents=1)
        except Rejected as rejected:
            if rejected.reason == OrderReason.WRONG_AMOUNT:
                print(rejected.metadata["total_cents"])


def describe(event: OrderEvent) -> str:
    """Every event of the domain is handled, and the checkers know it."""
    match event:
        case OrderPlaced():
            return "placed"
        case LineAdded():
            return "added"
        case LineReserved():
            return "reserved"
        case OrderPaid():
            return "paid"
        case OrderShipped():
            return "shipped"
        case OrderCancelled():
            return "cancelled"
