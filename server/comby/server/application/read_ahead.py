"""Reads the log one page ahead of a subscriber: while a page is on its way to the client, the store reads the next one."""

import asyncio
from typing import Any

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

    async def page(self, after: Position, *, stop: asyncio.Future[Any], seconds: float) -> ElementPage | None:
        """Return the page after a position, and begin with the one after it if history goes on. Raises StoreUnavailable.

        None where it is not here within `seconds`, or `stop` is done first: it is on its way still, to be asked for again.
        """
        if self._next is None or self._after != after:
            self.close()
            if self._tail.remembers(after):
                return self._and_on(after, await self._read(after))
            self._begin(after)
        assert self._next is not None
        await asyncio.wait((self._next, stop), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if not self._next.done():
            return None
        read, self._next = self._next, None
        return self._and_on(after, read.result())

    def _and_on(self, after: Position, page: ElementPage) -> ElementPage:
        if after < page.through < self._tail.level.position:
            self._begin(page.through)
        return page

    def _begin(self, after: Position) -> None:
        self._after = after
        self._next = asyncio.get_running_loop().create_task(self._read(after))
        # Its failure is looked at, also where nobody asks for it any more.
        self._next.add_done_callback(lambda read: read.cancelled() or read.exception())

    def close(self) -> None:
        """Let go of what was read ahead."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    async def _read(self, after: Position) -> ElementPage:
        limits = self._limits
        return await self._tail.elements(after, self._filter, limit=limits.batch_events, max_bytes=limits.batch_bytes)
