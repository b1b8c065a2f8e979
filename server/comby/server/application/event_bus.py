"""The event bus: says, after each commit, how far the log has come. It is a level, not the truth: every consumer
reads the store."""

import asyncio

from comby.server.domain.identity import Position


class Level:
    """A number that only rises, and can be waited for."""

    def __init__(self, position: Position) -> None:
        self._position = position
        self._moved: asyncio.Future[None] | None = None

    @property
    def position(self) -> Position:
        """How far it has come."""
        return self._position

    def rise(self, position: Position) -> None:
        """Raise the level; a lower one is ignored."""
        if position <= self._position:
            return
        self._position = position
        moved, self._moved = self._moved, None
        if moved is not None and not moved.done():
            moved.set_result(None)

    async def above(self, position: Position, *, timeout: float | None = None) -> bool:
        """Wait until the level is above a position; answer False when `timeout` seconds have passed first."""
        if self._position > position:
            return True
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while self._position <= position:
            if self._moved is None:
                self._moved = loop.create_future()
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            await asyncio.wait((self._moved,), timeout=left)
        return True


class EventBus(Level):
    """The level of the log's head, as far as this process knows."""
