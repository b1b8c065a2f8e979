"""Subscribers in Go and Node are killed again and again while events are written: each handles every matching event once, in order."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

import comby.client
from comby.client import Comby, Stage
from shop.stock.v1.stock_pb2 import AddStock
from tests.polyglot.sellers import sell_with_client
from tests.polyglot.shop_clients import Follower, handled, position_of
from tests.polyglot.shop_process import ShopProcess

KILLS = 8
"""Of each process."""
BREAK_EVERY = 120
"""Events after which, at most, a subscriber breaks its stream by itself, in the middle of a batch."""
WRITES_PER_SECOND = 600
MOST_WRITES = 30_000
PROGRESS_SECONDS = 20.0
PAID_AND_ADDED = ("Order.OrderPaid", "Stock.StockAdded")


@pytest.mark.timeout(300, func_only=True)
@pytest.mark.parametrize("shop", ["sqlite", "postgres"], indirect=True)
async def test_each_handles_every_matching_event_once_in_order(
    shop: ShopProcess, go_client: list[str], node_client: list[str], tmp_path: Path
) -> None:
    everything = [
        _follower(client, shop, tmp_path, f"{name}-all", 3) for name, client in _named(go_client, node_client)
    ]
    some = [
        _follower(client, shop, tmp_path, f"{name}-some", 2, *PAID_AND_ADDED)
        for name, client in _named(go_client, node_client)
    ]
    try:
        async with comby.client.connect(shop.address) as caller:
            log = await _write_while(caller, shop, [go_client, node_client], [*everything, *some])
            await _caught_up([*everything, *some], log[-1][0])
        for follower in everything:
            for journal in follower.journals:
                assert log == handled(journal), journal
        for follower in some:
            for journal in follower.journals:
                assert [event for event in log if event[1] in PAID_AND_ADDED] == handled(journal), journal
        for follower in [*everything, *some]:
            assert follower.log().count('"break_stream"') > 0  # the streams did break
    finally:
        for follower in [*everything, *some]:
            follower.close()


def _named(go: list[str], node: list[str]) -> list[tuple[str, list[str]]]:
    return [("go", go), ("node", node)]


def _follower(client: Sequence[str], shop: ShopProcess, folder: Path, name: str, count: int, *types: str) -> Follower:
    flags = ["--break-every", str(BREAK_EVERY)]
    for one in types:
        flags += ["--type", one]
    return Follower(client, shop.address, [folder / f"{name}-{number}" for number in range(count)], *flags)


async def _write_while(
    caller: Comby, shop: ShopProcess, clients: list[list[str]], followers: list[Follower]
) -> list[tuple[int, str]]:
    """Write until every follower has been killed often enough; return position and type of what was written."""
    killed = asyncio.Event()
    writer = asyncio.create_task(_write(caller, killed))
    sellers = [asyncio.create_task(sell_with_client(one, shop.address, "c1@shop.example", 50)) for one in clients]
    await asyncio.gather(*(_kill(follower) for follower in followers))
    killed.set()
    await asyncio.gather(writer, *sellers)
    return [(one.position, one.type) async for one in caller.read_events()]


async def _write(caller: Comby, killed: asyncio.Event) -> None:
    async with caller.pipeline() as pipeline:
        for number in range(MOST_WRITES):
            if killed.is_set():
                return
            await pipeline.dispatch(AddStock(sku=f"sku {number}", quantity=1), wait=Stage.EXECUTED)
            if number % 20 == 0:
                await asyncio.sleep(20 / WRITES_PER_SECOND)
    raise AssertionError(f"the subscribers do not get on: {MOST_WRITES} events were written meanwhile")


async def _kill(follower: Follower) -> None:
    """Start, and kill whenever it has handled something since; it runs at the end."""
    follower.start()
    for _ in range(KILLS):
        await _gets_on(follower)
        follower.kill()
        follower.start()


async def _gets_on(follower: Follower) -> None:
    marks = [position_of(journal) for journal in follower.journals]
    async with asyncio.timeout(PROGRESS_SECONDS):
        while any(
            position_of(journal) <= mark for journal, mark in zip(follower.journals, marks, strict=True)
        ):  # every subscriber of the process
            await asyncio.sleep(0.05)


async def _caught_up(followers: list[Follower], head: int) -> None:
    """Wait until all are at the head, for as long as one of them gets on."""
    journals = [journal for follower in followers for journal in follower.journals]
    while min(positions := [position_of(journal) for journal in journals]) < head:
        async with asyncio.timeout(PROGRESS_SECONDS):
            while positions == [position_of(journal) for journal in journals]:
                await asyncio.sleep(0.05)
