"""Wake-ups over NATS while it is there, and over what the store has itself while it is not."""

import asyncio
from collections.abc import AsyncIterator

from comby.server.brokers.nats.broker import NatsBroker
from comby.server.brokers.nats.wakeups import Listener
from comby.server.ports.broker import Announcement, Broker


class FirstChoice(Broker):
    """Announces by one of two, and hears both. That holdings were given back is rare and urgent: it goes both ways."""

    def __init__(self, first: NatsBroker, second: Broker) -> None:
        self._first = first
        self._second = second

    async def announce(self, announcement: Announcement) -> None:
        """Tell the other instances."""
        connected = self._first.connected
        if connected:
            await self._first.announce(announcement)
        if not connected or announcement.released:
            await self._second.announce(announcement)

    async def announcements(self) -> AsyncIterator[Announcement]:
        """Yield what comes by either way."""
        heard = Listener()
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_pass_on(one, heard)) for one in (self._first, self._second)]
        try:
            while True:
                yield await heard.next()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _pass_on(broker: Broker, heard: Listener) -> None:
    async for announcement in broker.announcements():
        heard.put(announcement)
