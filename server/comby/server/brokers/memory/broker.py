"""The broker inside one process: announcements reach everybody who listens in it, and nobody else."""

import asyncio
from collections.abc import AsyncIterator

from comby.server.domain.identity import Position
from comby.server.ports.broker import Broker


class InProcessBroker(Broker):
    """Keeps the highest head that was announced, and wakes those who wait for a higher one."""

    def __init__(self) -> None:
        self._head = Position(0)
        self._moved = asyncio.Event()

    async def announce(self, head: Position) -> None:
        """Say that the log's head has moved; a lower one than before says nothing."""
        if head > self._head:
            self._head = head
            self._moved.set()
            self._moved = asyncio.Event()

    async def announcements(self) -> AsyncIterator[Position]:
        """Yield the highest head, each time that it has moved."""
        told = Position(0)
        while True:
            moved = self._moved
            if self._head > told:
                told = self._head
                yield told
            else:
                await moved.wait()
