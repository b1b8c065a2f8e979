"""The broker inside one process."""

import asyncio

from comby.server.brokers.memory.broker import InProcessBroker
from comby.server.domain.identity import Position


async def test_everybody_hears_the_highest_head() -> None:
    broker = InProcessBroker()
    hearers = [broker.announcements() for _ in range(2)]
    await broker.announce(Position(1))
    assert [await anext(hearer) for hearer in hearers] == [1, 1]
    await broker.announce(Position(3))
    await broker.announce(Position(2))
    assert [await asyncio.wait_for(anext(hearer), 1) for hearer in hearers] == [3, 3]


async def test_silence_until_the_head_moves() -> None:
    broker = InProcessBroker()
    waiting = asyncio.ensure_future(anext(broker.announcements()))
    await asyncio.sleep(0)
    assert not waiting.done()
    await broker.announce(Position(1))
    assert await asyncio.wait_for(waiting, 1) == 1
