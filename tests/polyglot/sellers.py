"""Who sells in the tests: grpcurl, the Go client, the Node client and the Python SDK, each with the receipts it was given."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from comby.client import Comby, Receipt, Rejected
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import OrderLine
from shop.order.v1.order_types import OrderReason
from shop.stock.v1.stock_client import StockClient
from tests.polyglot.grpcurl_program import Grpcurl
from tests.polyglot.shop_clients import Line, did, run_client

QUANTITY = 2
PRICE_CENTS = 1250
RESERVATION_SECONDS = 10.0
RECEIPTS = ("add_stock", "place_order", "pay_order", "ship_order")
"""What a client prints for a command that is executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A command that was said to be executed."""

    did: str
    request_id: str
    aggregate_id: str
    version: int
    event_ids: tuple[str, ...]


async def sell_with_client(command: Sequence[str], address: str, customer: str, orders: int) -> list[Acknowledged]:
    """Sell with the Go or the Node client."""
    flags = ("--customer", customer, "--orders", str(orders))
    lines = await asyncio.to_thread(run_client, command, "sell", address, *flags)
    return [_from_line(line) for line in did(lines, *RECEIPTS)]


async def sell_with_grpcurl(curl: Grpcurl, customer: str, orders: int) -> list[Acknowledged]:
    """Sell with grpcurl."""
    return await asyncio.to_thread(_sell_with_grpcurl, curl, customer, orders)


async def sell_with_sdk(comby: Comby, customer: str, orders: int) -> list[Acknowledged]:
    """Sell with the Python SDK."""
    orders_, stock = OrderClient(comby), StockClient(comby)
    added = await stock.add_stock(sku=customer, quantity=QUANTITY * orders)
    receipts = [_from_receipt("add_stock", added)]
    line = OrderLine(stock_id=added.aggregate_id, quantity=QUANTITY, unit_price_cents=PRICE_CENTS)
    for _ in range(orders):
        placed = await orders_.place_order(customer_email=customer, lines=[line])
        order_id = placed.aggregate_id
        paid = await orders_.pay_order(order_id=order_id, amount_cents=QUANTITY * PRICE_CENTS)
        shipped = await _ship(orders_, order_id)
        receipts += [
            _from_receipt("place_order", placed),
            _from_receipt("pay_order", paid),
            _from_receipt("ship_order", shipped),
        ]
    return receipts


async def _ship(orders: OrderClient, order_id: str) -> Receipt:
    async with asyncio.timeout(RESERVATION_SECONDS):
        while True:
            try:
                return await orders.ship_order(order_id=order_id, tracking_code="PY", wait="projected")
            except Rejected as error:
                if error.reason != OrderReason.NOT_RESERVED:
                    raise
                await asyncio.sleep(0.01)


def _sell_with_grpcurl(curl: Grpcurl, customer: str, orders: int) -> list[Acknowledged]:
    stock = curl.call("shop.stock.v1.StockService/AddStock", {"sku": customer, "quantity": QUANTITY * orders})
    receipts = [_from_json("add_stock", stock)]
    line = {"stock_id": stock["aggregateId"], "quantity": QUANTITY, "unit_price_cents": PRICE_CENTS}
    service = "shop.order.v1.OrderService"
    for _ in range(orders):
        request_id = ("-rpc-header", f"comby-request-id: {uuid.uuid4()}")
        placed = curl.call(f"{service}/PlaceOrder", {"customer_email": customer, "lines": [line]}, *request_id)
        order = {"order_id": placed["aggregateId"]}
        paid = curl.call(f"{service}/PayOrder", {**order, "amount_cents": QUANTITY * PRICE_CENTS})
        ship = {**order, "tracking_code": "CURL"}
        shipped = curl.until(f"{service}/ShipOrder", ship, not_for=OrderReason.NOT_RESERVED)
        receipts += [
            _from_json("place_order", placed),
            _from_json("pay_order", paid),
            _from_json("ship_order", shipped),
        ]
    return receipts


def _from_line(line: Line) -> Acknowledged:
    return Acknowledged(
        did=line["did"],
        request_id=line["request_id"],
        aggregate_id=line["aggregate_id"],
        version=line["version"],
        event_ids=tuple(line["event_ids"]),
    )


def _from_json(name: str, receipt: Line) -> Acknowledged:
    return Acknowledged(
        did=name,
        request_id=receipt["requestId"],
        aggregate_id=receipt["aggregateId"],
        version=int(receipt["aggregateVersion"]),
        event_ids=tuple(receipt["eventIds"]),
    )


def _from_receipt(name: str, receipt: Receipt) -> Acknowledged:
    return Acknowledged(
        did=name,
        request_id=receipt.request_id,
        aggregate_id=receipt.aggregate_id,
        version=receipt.aggregate_version,
        event_ids=tuple(receipt.event_ids),
    )
