"""Consumers in Go and Python live on the broker alone. They and the broker are killed, it loses everything, and others forge events: each
event is handled once, in order."""

import asyncio
from pathlib import Path

import nats
import pytest

import comby.client
from comby.client import Comby, Stage
from comby.facade.v1.event_pb2 import Event
from shop.stock.v1.stock_pb2 import AddStock
from tests.brokers.nats_server import NatsServer
from tests.polyglot.sellers import sell_with_sdk
from tests.polyglot.shop_clients import Consumer, Line, did, handled, parse, position_of
from tests.polyglot.shop_process import ShopProcess

KILLS = 4
PROGRESS_SECONDS = 30.0
ORDERS_ONLY = "shop.events.*.Order.>"


async def test_each_event_is_handled_once_and_in_order(
    nats_server: NatsServer, consumers: dict[str, list[str]], tmp_path: Path
) -> None:
    shop = ShopProcess(tmp_path, "--broker", nats_server.url)
    everything = [_consumer(consumers, name, nats_server, tmp_path / f"{name}-all") for name in consumers]
    orders = [
        _consumer(consumers, name, nats_server, tmp_path / f"{name}-orders", "--subject", ORDERS_ONLY)
        for name in consumers
    ]
    all_of_them = [*everything, *orders]
    try:
        for one in all_of_them:
            one.start()  # before there is a stream
        shop.start()
        async with comby.client.connect(shop.address) as caller:
            writer = asyncio.create_task(_write(caller, done := asyncio.Event()))
            await asyncio.gather(*(_kill(one) for one in everything))
            await _break(nats_server, everything)
            await asyncio.gather(*(_gets_on(one) for one in everything))
            done.set()
            await writer
            await sell_with_sdk(caller, "last@shop.example", 3)
            log = [(one.position, one.type) async for one in caller.read_events()]
            await asyncio.gather(*(_caught_up(one, log[-1][0]) for one in everything))
            await asyncio.gather(*(_caught_up(one, max(p for p, t in log if t.startswith("Order."))) for one in orders))
        for one in everything:
            assert log == handled(one.journals[0]), one.log()[-2000:]
            assert ["the id is another one"] * 2 == list(_ignored(one).values())
            placed = [line["event"] for line in _told(one, "handle") if line["type"] == "Order.OrderPlaced"]
            assert "last@shop.example" == placed[-1]["customerEmail"]
        for one in orders:
            assert [event for event in log if event[1].startswith("Order.")] == handled(one.journals[0])
    finally:
        for one in all_of_them:
            one.close()
        shop.stop()


def _consumer(consumers: dict[str, list[str]], name: str, server: NatsServer, journal: Path, *flags: str) -> Consumer:
    wait = ("--ack-wait", "300ms" if name == "go" else "0.3")
    return Consumer(consumers[name], server.url, journal, *wait, *flags)


async def _write(caller: Comby, done: asyncio.Event) -> None:
    async with caller.pipeline() as pipeline:
        number = 0
        while not done.is_set():
            number += 1
            await pipeline.dispatch(AddStock(sku=f"sku {number}", quantity=1), wait=Stage.EXECUTED)
            if number % 10 == 0:
                await sell_with_sdk(caller, f"c{number}@shop.example", 1)


async def _kill(consumer: Consumer) -> None:
    """Kill it whenever it has handled something since; it runs at the end."""
    for _ in range(KILLS):
        await _gets_on(consumer)
        consumer.kill()
        consumer.start()


async def _break(server: NatsServer, consumers: list[Consumer]) -> None:
    """Forge events; restart the broker; let it lose everything."""
    for times in (1, 2):
        async with await nats.connect(server.url) as stranger:
            headers = {"Comby-Position": str(2**40), "Comby-Incarnation": "forged", "Nats-Msg-Id": f"forged-{times}"}
            payload = Event(position=2**40, event_id="another").SerializeToString()
            await stranger.jetstream().publish("shop.events.default.Stock.StockAdded", payload, headers=headers)
        async with asyncio.timeout(PROGRESS_SECONDS):
            while any(len(_ignored(one)) < times for one in consumers):
                await asyncio.sleep(0.05)
        server.kill()
        if times == 2:
            server.delete_storage()
        server.start()


def _ignored(consumer: Consumer) -> dict[int, str]:
    """Return why messages were ignored, by their sequence in the stream: a broker that is killed before it has the answer delivers one again."""
    return {line["sequence"]: line["why"] for line in _told(consumer, "ignore")}


def _told(consumer: Consumer, name: str) -> list[Line]:
    """Return the lines that tell of a doing; a kill may have cut one off, which then is none."""
    lines = [line for line in consumer.log().splitlines() if line.startswith("{") and line.endswith("}")]
    return did(parse("\n".join(line for line in lines if line.count('"did"') == 1)), name)


async def _gets_on(consumer: Consumer) -> None:
    mark = position_of(consumer.journals[0])
    async with asyncio.timeout(PROGRESS_SECONDS):
        while position_of(consumer.journals[0]) <= mark:
            await asyncio.sleep(0.05)


async def _caught_up(consumer: Consumer, position: int) -> None:
    try:
        async with asyncio.timeout(PROGRESS_SECONDS):
            while position_of(consumer.journals[0]) < position:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"it does not get on:\n{consumer.log()[-3000:]}") from None


@pytest.mark.parametrize("name", ["go", "python"])
def test_says_what_it_was_told_wrong(consumers: dict[str, list[str]], name: str, tmp_path: Path) -> None:
    consumer = Consumer(consumers[name], "nats://127.0.0.1:1", tmp_path / "journal", "--nonsense")
    consumer.start()
    assert 0 != consumer.ended()
    assert "nonsense" in consumer.log()
