"""Announcements as they travel: a short JSON object with the fields of an Announcement that are not empty.

Whoever may publish on the subject may send anything: what is no announcement is told apart here, and never raises.
"""

import asyncio

import orjson

from comby.server.domain.identity import Position
from comby.server.ports.broker import EVERYTHING, Announcement

LONGEST = 4096
"""Bytes of a payload; all partitions take less than a tenth."""
_HIGHEST = 2**63 - 1


def encode(announcement: Announcement) -> bytes:
    """Return the payload."""
    fields: dict[str, int | bool | list[int]] = {"head": announcement.head}
    if announcement.opened:
        fields["opened"] = sorted(announcement.opened)
    if announcement.ended:
        fields["ended"] = True
    if announcement.released:
        fields["released"] = True
    return orjson.dumps(fields)


def decode(payload: bytes) -> Announcement | None:
    """Return the announcement; None for anything else. Fields that are not known are of a newer comby, and are left out."""
    if len(payload) > LONGEST:
        return None
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    head, opened = fields.get("head"), fields.get("opened", [])
    ended, released = fields.get("ended", False), fields.get("released", False)
    if type(head) is not int or not 0 <= head <= _HIGHEST or not isinstance(opened, list):
        return None
    if any(type(one) is not int or one not in EVERYTHING.opened for one in opened):
        return None
    if type(ended) is not bool or type(released) is not bool:
        return None
    return Announcement(head=Position(head), opened=frozenset(opened), ended=ended, released=released)


def together(one: Announcement, other: Announcement) -> Announcement:
    """Return one announcement that says what two say."""
    return Announcement(
        head=max(one.head, other.head),
        opened=one.opened | other.opened,
        ended=one.ended or other.ended,
        released=one.released or other.released,
    )


class Listener:
    """What one reader has not read yet, together: however much is announced, it takes no more room."""

    def __init__(self) -> None:
        self._waiting: Announcement | None = EVERYTHING
        self._arrived = asyncio.Event()
        self._arrived.set()

    def put(self, announcement: Announcement) -> None:
        """Add an announcement to what waits."""
        self._waiting = announcement if self._waiting is None else together(self._waiting, announcement)
        self._arrived.set()

    async def next(self) -> Announcement:
        """Wait for something to read, and take it."""
        while self._waiting is None:
            self._arrived.clear()
            await self._arrived.wait()
        taken, self._waiting = self._waiting, None
        return taken
