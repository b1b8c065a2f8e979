"""The broker: carries wake-ups between the instances that serve one log. It is never the source of truth."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from dataclasses import dataclass

from comby.server.domain.identity import Position


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What was committed that others may wait for.

    `head` is the log's head as far as the sender knows. `opened` are the partitions in which commands were accepted, or opened again. `ended`
    tells that commands came to their end, and `released` that holdings were given back.
    """

    head: Position
    opened: frozenset[int] = frozenset()
    ended: bool = False
    released: bool = False


class Broker(ABC):
    """Wake-ups are hints: they may be lost, doubled or late, and every consumer reads the store by position."""

    @abstractmethod
    async def announce(self, announcement: Announcement) -> None:
        """Tell the other instances. Never raises: a lost hint is healed by the consumers' own reading."""

    @abstractmethod
    def announcements(self) -> AsyncIterator[Announcement]:
        """Yield what others announced, until cancelled. Several may come as one, and one's own may be among them.

        Never raises: a connection that breaks is made again, and whatever may have been missed then comes as one announcement that says
        that anything may have happened (`EVERYTHING`).
        """


EVERYTHING = Announcement(head=Position(0), opened=frozenset(range(128)), ended=True, released=True)
"""Anything may have happened: look at the store."""
