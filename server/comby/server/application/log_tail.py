"""The tail: the newest events, read from the store once for all who follow the log, and kept encoded.

Everybody has one cursor and asks for the page after it. Whether it comes from memory or from the store, it is the
same log.
"""

import asyncio
from collections.abc import Callable, Sequence

from comby.server.application import incidents
from comby.server.application.event_bus import EventBus, Level
from comby.server.application.limits import Limits
from comby.server.domain.identity import Position
from comby.server.ports.elements import element, time_field
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    ElementPage,
    EventFilter,
    EventPage,
    EventStore,
    StoredEvent,
)

EVERYTHING = EventFilter()
RETRY_SECONDS = 0.5
"""Between tries while the store is away."""
FIRST_DISTRUST = 0.01
"""How long others are not listened to after they announced what is not there; doubled each time."""
POLL_SECONDS = 1.0
"""How often the store is asked although nobody announced anything: announcements are hints."""


class LogTail:
    """`level` tells how far the log has been read; run `run` as a task."""

    def __init__(
        self, events: EventStore, bus: EventBus, limits: Limits, read: Callable[[Sequence[StoredEvent]], None]
    ) -> None:
        """`read` is told the events that were read from the store, and not offered by this process."""
        self._events = events
        self._bus = bus
        self._limits = limits
        self._read = read
        self._ring: list[StoredEvent] = []
        self._encoded: list[bytes | None] = []  # the same, each as an element, once a subscriber has wanted it
        self._start = Position(bus.position)
        self._bytes = 0
        self.level = Level(bus.position)

    async def run(self) -> None:
        """Follow the log until cancelled."""
        unsure, distrust = True, 0.0
        while True:
            try:
                before, claimed = self.level.position, self._bus.claimed()
                if unsure or claimed or before < self._bus.position:
                    await self._read_on()
                if (
                    claimed and self.level.position == before
                ):  # whoever says so again and again gets no more than the poll
                    distrust = min(max(2 * distrust, FIRST_DISTRUST), POLL_SECONDS)
                    await asyncio.sleep(distrust)
                elif claimed:
                    distrust = 0.0
                unsure = not await self._bus.news(self.level.position, timeout=POLL_SECONDS)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                incidents.report("tail failed", error)
                await asyncio.sleep(RETRY_SECONDS)

    def offer(self, events: Sequence[StoredEvent]) -> None:
        """Take events that this process has just committed, if they are the very next ones; otherwise the store is
        read."""
        if events and events[0].position == self.level.position + 1:
            self._append(EventPage(events, events[-1].position))

    def hint(self, position: Position) -> None:
        """Have the store looked at soon, where the log is said to have come to a position."""
        if position > self.level.position:
            self._bus.hear(position)

    def remembers(self, after: Position) -> bool:
        """Tell whether what comes after a position is in memory."""
        return after >= self._start

    async def page(self, after: Position, filter: EventFilter, *, limit: int, max_bytes: int) -> EventPage:
        """Return matching events after a position, from memory where it reaches back that far. Raises
        StoreUnavailable."""
        if not self.remembers(after):
            return await self._events.read(after=after, filter=filter, limit=limit, max_bytes=max_bytes)
        places, through = self._places(after, filter, limit, max_bytes)
        return EventPage([self._ring[place] for place in places], through)

    async def elements(self, after: Position, filter: EventFilter, *, limit: int, max_bytes: int) -> ElementPage:
        """Return the same as bytes for a stream; see EventStore.read_elements. Raises StoreUnavailable."""
        if not self.remembers(after):
            return await self._events.read_elements(after=after, filter=filter, limit=limit, max_bytes=max_bytes)
        places, through = self._places(after, filter, limit, max_bytes)
        return ElementPage(b"".join([self._element(place) for place in places]), len(places), through)

    def _places(self, after: Position, filter: EventFilter, limit: int, max_bytes: int) -> tuple[list[int], Position]:
        """Return where in memory the events of a page are, and through which position it reaches."""
        found: list[int] = []
        size = 0
        ring = self._ring
        for place in range(after - self._start, len(ring)):
            stored = ring[place]
            if matches(filter, stored):
                size += len(stored.record)
                if found and (len(found) >= limit or size > max_bytes):
                    return found, Position(stored.position - 1)
                found.append(place)
        return found, Position(max(after, self._start + len(ring)))

    def _element(self, place: int) -> bytes:
        """Return an event as an element of a field `repeated Event events = 1`."""
        encoded = self._encoded[place]
        if encoded is None:
            stored = self._ring[place]
            encoded, _ = element(stored.record, stored.position, time_field(stored.recorded_at))
            self._encoded[place] = encoded
        return encoded

    async def _read_on(self) -> None:
        while True:
            after = self.level.position
            page = await self._events.read(
                after=after, filter=EVERYTHING, limit=self._limits.commit_batch, max_bytes=self._limits.tail_bytes // 4
            )
            self._read(page.events)
            self._append(page)
            if page.through <= after or page.through < self.level.position:
                return

    def _append(self, page: EventPage) -> None:
        read = self.level.position  # what was offered while the store was read is not taken twice
        for stored in page.events:
            if stored.position > read:
                self._ring.append(stored)
                self._encoded.append(None)
                self._bytes += len(stored.record)
        self._trim()
        self._bus.rise(page.through)
        self.level.rise(page.through)

    def _trim(self) -> None:
        """Let go of the oldest, a quarter at a time: it costs a move of the rest."""
        limits = self._limits
        if len(self._ring) <= limits.tail_events and self._bytes <= limits.tail_bytes:
            return
        drop = 0
        while drop < len(self._ring) and (
            len(self._ring) - drop > limits.tail_events * 3 // 4 or self._bytes > limits.tail_bytes * 3 // 4
        ):
            self._bytes -= len(self._ring[drop].record)
            drop += 1
        del self._ring[:drop]
        del self._encoded[:drop]
        self._start = Position(self._start + drop)


def matches(filter: EventFilter, stored: StoredEvent) -> bool:
    """Tell whether an event is selected."""
    return (
        (filter.tenant_id is None or stored.key.tenant_id == filter.tenant_id)
        and (not filter.types or stored.type in filter.types)
        and (not filter.domains or stored.key.domain in filter.domains)
        and (filter.aggregate is None or stored.key == filter.aggregate)
    )
