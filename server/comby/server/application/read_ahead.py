"""Reads the log one page ahead of a subscriber: while a page is on its way to the client, the store reads the next one."""

import asyncio

from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.domain.identity import Position
from comby.server.ports.event_store import ElementPage, EventFilter


class ReadAhead:
    """The pages of one subscription, in turn. Close it at the end."""

    def __init__(self, tail: LogTail, filter: EventFilter, limits: Limits) -> None:
        self._tail = tail
        self._filter = filter
        self._limits = limits
        self._next: asyncio.Task[ElementPage] | None = None
        self._after = Position(0)

    async def page(self, after: Position) -> ElementPage:
        """Return the page after a position, and begin with the one after it if history goes on. Raises StoreUnavailable."""
        ahead, self._next = self._next, None
        if ahead is not None and self._after == after:
            page = await ahead
        else:
            page = await self._read(after)
        if after < page.through < self._tail.level.position:
            self._after = page.through
            self._next = asyncio.get_running_loop().create_task(self._read(page.through))
        return page

    def close(self) -> None:
        """Let go of what was read ahead."""
        if self._next is not None:
            self._next.cancel()

    async def _read(self, after: Position) -> ElementPage:
        limits = self._limits
        return await self._tail.elements(after, self._filter, limit=limits.batch_events, max_bytes=limits.batch_bytes)
