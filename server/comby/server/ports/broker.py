"""The broker: carries events to programs outside, and wake-ups between instances. It is never the source of truth."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator

from comby.server.domain.identity import Position


class Broker(ABC):
    """Wake-ups are hints: they may be lost, doubled or late, and every consumer reads the store by position."""

    @abstractmethod
    async def announce(self, head: Position) -> None:
        """Say that the log's head has moved. Never raises: a lost hint is healed by the consumers' own reading."""

    @abstractmethod
    def announcements(self) -> AsyncIterator[Position]:
        """Yield the heads that were announced, by this instance or another; intermediate ones may be left out."""
