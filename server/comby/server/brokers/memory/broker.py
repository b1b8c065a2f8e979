"""The broker inside one process, which has nobody to tell: its own consumers are woken by the event bus."""

import asyncio
from collections.abc import AsyncIterator

from comby.server.ports.broker import Announcement, Broker


class InProcessBroker(Broker):
    """Says nothing and hears nothing."""

    async def announce(self, announcement: Announcement) -> None:
        """Say nothing: nobody else serves the log."""

    async def announcements(self) -> AsyncIterator[Announcement]:
        """Hear nothing."""
        await asyncio.get_running_loop().create_future()
        yield  # type: ignore[misc]
