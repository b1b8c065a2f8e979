"""How announcements are written as notifications: `sender head ended released partition,partition,…`."""

from comby.server.domain.identity import Position
from comby.server.ports.broker import Announcement

CHANNEL = "comby"


def write_announcement(sender: str, announcement: Announcement) -> str:
    """Return the payload; `comby.append` writes its own."""
    opened = ",".join(map(str, sorted(announcement.opened)))
    return f"{sender} {announcement.head} {announcement.ended:d} {announcement.released:d} {opened}".rstrip()


def read_announcement(payload: str) -> tuple[str, Announcement]:
    """Return the sender and what it announced. Raises ValueError for what nobody of us wrote."""
    sender, head, ended, released, *opened = payload.split(" ")
    partitions = opened[0].split(",") if opened else []
    return sender, Announcement(
        head=Position(int(head)),
        opened=frozenset(map(int, partitions)),
        ended=ended == "1",
        released=released == "1",
    )


def merged(one: Announcement | None, other: Announcement) -> Announcement:
    """Return two announcements as one."""
    if one is None:
        return other
    return Announcement(
        head=max(one.head, other.head),
        opened=one.opened | other.opened,
        ended=one.ended or other.ended,
        released=one.released or other.released,
    )
