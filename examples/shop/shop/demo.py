"""The story of a shop, told as it happens: `python -m shop.demo`, or with `--target` against a server that runs.

It uses nothing but the SDK and the generated clients. Without a target it starts a server on a temporary store, kills
it in the middle of its work, and starts it again.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

from google.protobuf.message import Message

import comby.client
from comby.client import Comby, Connected, Disconnected, Receipt, Recorded, Rejected, RetryPolicy, Status, Subscription
from shop.demo_server import ShopServer, shop_server
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import ORDER_STATUS_CANCELLED, Order, OrderLine, OrderStatus, PlaceOrder
from shop.stock.v1.stock_client import StockClient

IN_FLIGHT = 40
"""Orders that are accepted when the server is killed."""
PATIENT = RetryPolicy(attempts=100, maximum=0.5)
"""Calls go on trying until their time is over, so a restart of the server is nothing but a delay."""


def tell(text: str) -> None:
    """Print one sentence of the story."""
    print(f"\n» {text}", flush=True)


class Watcher:
    """A subscriber that prints every event as it is recorded, and notes its position."""

    def __init__(self, comby: Comby) -> None:
        self.positions: list[int] = []
        self.quiet = False
        self._lost = False
        self.connected = asyncio.Event()
        self._moved = asyncio.Event()
        self._subscription = comby.subscribe(from_head=True, on_status=self._status)

    async def run(self) -> None:
        await self._follow(self._subscription)

    async def until(self, position: int) -> None:
        """Wait until the event at a position is seen."""
        while not self.positions or self.positions[-1] < position:
            self._moved.clear()
            await self._moved.wait()

    async def _follow(self, subscription: Subscription[Message]) -> None:
        async for recorded in subscription:
            self.positions.append(recorded.position)
            self._moved.set()
            if not self.quiet:
                print(f"    event {_shown(recorded)}", flush=True)

    def _status(self, status: Status) -> None:
        match status:
            case Disconnected() if not self._lost:
                self._lost = True
                print("    (the subscriber lost its server, and tries until it is back)", flush=True)
            case Connected(after=after):
                self.connected.set()
                if not self._lost:
                    return
                self._lost = False
                print(f"    (the subscriber goes on after position {after})", flush=True)


class Story:
    """The chapters."""

    def __init__(self, comby: Comby) -> None:
        self._comby = comby
        self._orders = OrderClient(comby)
        self._stocks = StockClient(comby)
        self.watcher = Watcher(comby)

    async def one_order(self, tea: str, cup: str) -> None:
        tell(
            "Ada orders two packs of tea and a cup. A reactor reserves them; a live query shows how the order moves on."
        )
        placed = await self._place(
            "ada@example.com", OrderLine(stock_id=tea, quantity=2, unit_price_cents=450), _cup(cup)
        )
        order = await self._settled(placed)

        await self.seen()
        tell("She pays 1.00, which is not the total: a rule of the domain refuses it, with a reason for machines.")
        try:
            await self._orders.pay_order(order_id=order.order_id, amount_cents=100)
        except Rejected as error:
            print(f"    refused: {error.domain} {error.reason} {dict(error.metadata)}")

        await self.seen()
        tell("She pays in full, and the order is shipped.")
        await self._orders.pay_order(order_id=order.order_id, amount_cents=order.total_cents)
        shipped = await self._orders.ship_order(order_id=order.order_id, tracking_code="PARCEL-1")
        order = await self._orders.get_order(order_id=order.order_id, consistency=shipped.consistency_token)
        print(f"    the order is {_status(order)}, parcel {order.tracking_code}, version {shipped.aggregate_version}")

    async def too_many_cups(self, cup: str) -> None:
        await self.seen()
        tell("Bob orders 50 cups. There are not so many: the reactor cancels the order.")
        placed = await self._place("bob@example.com", OrderLine(stock_id=cup, quantity=50, unit_price_cents=1200))
        order = await self._settled(placed)
        print(f"    Bob's order is {_status(order)}: {order.cancel_reason}")

    async def twice(self, tea: str) -> None:
        await self.seen()
        tell("Cleo's client sends her order twice, with one request id: it is placed once, and both get one answer.")
        request_id = str(uuid4())
        line = OrderLine(stock_id=tea, quantity=1, unit_price_cents=450)
        command = PlaceOrder(customer_email="cleo@example.com", lines=[line])
        first = await self._orders.place_order(command, request_id=request_id)
        second = await self._orders.place_order(command, request_id=request_id)
        print(f"    one order: {first.aggregate_id == second.aggregate_id}")
        await self._settled(first)

    async def crash(self, server: ShopServer, tea: str) -> None:
        tell(
            f"{IN_FLIGHT} orders are accepted at once, and the server is killed (SIGKILL) before all of them are executed."
        )
        self.watcher.quiet = True
        line = OrderLine(stock_id=tea, quantity=1, unit_price_cents=450)
        accepted = await asyncio.gather(
            *(
                self._orders.place_order(customer_email=f"{n}@example.com", lines=[line], wait="accepted")
                for n in range(IN_FLIGHT)
            )
        )
        await server.end(signal.SIGKILL)
        print(f"    {len(accepted)} receipts are in our hands; the server is dead")

        tell("It starts again on the same store. Every receipt is asked what became of its order.")
        await server.start()
        receipts = await asyncio.gather(*(receipt.wait("executed") for receipt in accepted))
        executed = [receipt for receipt in receipts if receipt.stage == "executed"]
        print(f"    {len(executed)} of {len(accepted)} are executed")
        await asyncio.gather(*(self._settled(receipt, quiet=True) for receipt in executed))

    async def nothing_is_missing(self) -> None:
        tell("Is anything missing, doubled or out of order?")
        log = [recorded.position async for recorded in self._comby.read_events(after=self.watcher.positions[0] - 1)]
        await self.watcher.until(log[-1])
        whole = log == list(range(log[0], log[-1] + 1))
        seen = self.watcher.positions[: len(log)] == log
        print(f"    the log holds {len(log)} events without a gap: {whole}")
        print(f"    the subscriber saw each of them once, in order, over the crash: {seen}")
        if not (whole and seen):
            raise SystemExit("something is missing")

    async def seen(self) -> None:
        """Wait until the subscriber has seen all that is recorded by now, so that the story is told in its order."""
        async for last in self._comby.read_events(backwards=True, limit=1):
            await self.watcher.until(last.position)

    async def stock(self, sku: str, quantity: int) -> str:
        receipt = await self._stocks.add_stock(sku=sku, quantity=quantity)
        return receipt.aggregate_id

    async def _place(self, email: str, *lines: OrderLine) -> Receipt:
        return await self._orders.place_order(customer_email=email, lines=lines)

    async def _settled(self, placed: Receipt, *, quiet: bool = False) -> Order:
        """Watch an order until all of its lines are reserved, or it is cancelled."""
        async for order in self._orders.watch_order(order_id=placed.aggregate_id):
            if not quiet:
                print(f"    live query: {_status(order)}, {len(order.reserved)} of {len(order.lines)} lines reserved")
            if order.status == ORDER_STATUS_CANCELLED or len(order.reserved) == len(order.lines):
                return order
        raise SystemExit("the live query ended")


async def story(target: str, server: ShopServer | None) -> None:
    """Tell the story to the end; without a server of one's own nothing is killed."""
    async with comby.client.connect(target, retry=PATIENT) as comby_:
        told = Story(comby_)
        watching = asyncio.create_task(told.watcher.run())
        try:
            await told.watcher.connected.wait()
            tell("The shelves are filled.")
            tea, cup = await told.stock("tea", 100), await told.stock("cup", 10)
            await told.seen()
            await told.one_order(tea, cup)
            await told.too_many_cups(cup)
            await told.twice(tea)
            await told.seen()
            if server is not None:
                await told.crash(server, tea)
            await told.nothing_is_missing()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    tell("The end.")


async def main(target: str | None) -> None:
    async with AsyncExitStack() as stack:
        server = None
        if target is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="comby-demo-"))
            server = await stack.enter_async_context(shop_server(Path(folder) / "shop.db"))
            target = server.address
            tell(f"A server of the shop is started on {target}, with an empty store.")
        await story(target, server)


def _cup(stock_id: str) -> OrderLine:
    return OrderLine(stock_id=stock_id, quantity=1, unit_price_cents=1200)


def _status(order: Order) -> str:
    return OrderStatus.Name(order.status).removeprefix("ORDER_STATUS_").lower()


def _shown(recorded: Recorded[Message]) -> str:
    return f"{recorded.position:>3} {recorded.type} of {recorded.aggregate_id[:8]}, version {recorded.version}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", help="a server of the shop that nobody else uses now, such as localhost:50051")
    sys.exit(asyncio.run(main(parser.parse_args().target)))
