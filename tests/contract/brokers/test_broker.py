"""What every broker promises: it never fails its callers, and a reader can always be told to stop."""

import asyncio

from comby.server.domain.identity import Position
from comby.server.ports.broker import EVERYTHING, Announcement, Broker
from tests.contract.brokers.conftest import OpenBroker


async def test_an_announcement_never_fails(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        for head in range(100):
            await broker.announce(Announcement(head=Position(head)))
        await broker.announce(EVERYTHING)


async def test_an_announcement_after_the_end_does_not_fail_either(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        pass
    await broker.announce(EVERYTHING)


async def test_a_reader_is_cancelled_at_once(open_broker: OpenBroker) -> None:
    async with open_broker() as broker:
        reader = asyncio.create_task(_read(broker, asyncio.Event()))
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader], timeout=1)
        assert reader.cancelled()


async def _read(broker: Broker, never: asyncio.Event) -> None:
    async for announcement in broker.announcements():
        assert announcement == EVERYTHING
    await never.wait()
