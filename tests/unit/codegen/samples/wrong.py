"""Mistakes that the type checkers must find: one a line, each marked."""

from comby.client import Comby, Recorded
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import OrderPaid, OrderPlaced, PayOrder


async def main(comby: Comby, orders: OrderClient) -> None:
    await orders.place_order(customer="a@b.c")  # wrong
    await orders.pay_order(amount_cents="1")  # wrong
    await orders.place_order(PayOrder())  # wrong
    await orders.place_order(wait="done")  # wrong
    await orders.get_order(order_id="a", wait="executed")  # wrong
    async for recorded in comby.subscribe(OrderPlaced):
        other: Recorded[OrderPaid] = recorded  # wrong
        print(other)
