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
        self.wake()

    def wake(self) -> None:
        """Let those who wait look again."""
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
            left = None if deadline is None else deadline - loop.time()
            if left is not None and left <= 0:
                return False
            await self.moved(left)
        return True

    async def moved(self, timeout: float | None) -> None:
        """Wait for the next move, at most `timeout` seconds."""
        await asyncio.wait((self.next_move(),), timeout=timeout)

    def next_move(self) -> asyncio.Future[None]:
        """Return what is done with the next move. All who wait share it: it is not to be cancelled."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        return self._moved


class EventBus(Level):
    """The level of the log's head, as far as this process knows."""

    def __init__(self, position: Position) -> None:
        super().__init__(position)
        self._claimed = False

    def hear(self, position: Position) -> None:
        """Take what somebody else says of the head, 0 for anything: it is a reason to look at the store, and never believed."""
        if not position or position > self.position:
            self._claimed = True
            self.wake()

    async def news(self, position: Position, *, timeout: float) -> bool:
        """Wait until the level is above a position, or somebody says that it may be; answer False when `timeout` seconds have passed first."""
        if self.position <= position and not self._claimed:
            await self.moved(timeout)
        return self.position > position or self._claimed

    def claimed(self) -> bool:
        """Tell whether somebody spoke since this was asked last."""
        claimed, self._claimed = self._claimed, False
        return claimed
