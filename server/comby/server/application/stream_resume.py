"""Where the relay goes on: how the stream ends, believed only where the log says the same.

Whoever may write to the stream's subjects may have written anything, and a broker may have lost what it had acknowledged. A message counts only if the
log has its event at the position that it tells.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from comby.facade.v1 import event_pb2
from comby.server.domain.identity import Position
from comby.server.ports.event_publisher import EventPublisher, StreamEnd, StreamMessage, StreamPlace
from comby.server.ports.event_store import EventFilter, EventStore

LOOK_BACK = (256, 2_048, 16_384)
"""Messages that are looked at from the end backwards, where the last one does not tell where to go on."""
_EVERYTHING = EventFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The stream has every event up to `position`, and ends at `place`."""

    position: Position
    place: StreamPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """Where to go on; how many messages were found that are no events in their place, and how many events were lost since the checkpoint."""

    standing: Standing
    foreign: int = 0
    lost: int = 0


class StreamResume:
    """Looks at the stream and at the log. Raises BrokerUnavailable, StreamRefused and StoreUnavailable."""

    def __init__(self, publisher: EventPublisher, events: EventStore) -> None:
        self._publisher = publisher
        self._events = events

    async def find(self, known: Standing | None, checkpoint: Position, oldest: Position) -> Resumed:
        """Return where to go on.

        `known` is how this relay left the stream, if it did. `checkpoint` is up to where the log was once in the stream, and `oldest` where to begin
        in a stream that was just made.
        """
        end = await self._publisher.end(limit=1)
        reached = checkpoint if known is None else max(checkpoint, known.position)
        if end.sequence == 0:
            return self._at(oldest, end, lost=max(reached - oldest, 0))
        if known is not None and end.sequence > known.place.sequence:
            later = end.sequence - known.place.sequence
            end = await self._publisher.end(limit=min(later + 1, LOOK_BACK[0]))
        if known is not None and (resumed := await self._from(known, end)) is not None:
            return resumed
        if await self._is_whole(end.newest[:1], reached):
            return self._at(end.newest[0].position, end, genuine=True)
        return await self._backwards(reached)

    async def _from(self, known: Standing, end: StreamEnd) -> Resumed | None:
        """Go through what came after the known end; None where the stream is not the one that was left.

        The last event's id is a fence only where its message is there: a broker forgets the id with the message.
        """
        later = [message for message in reversed(end.newest) if message.sequence > known.place.sequence]
        there = next((message for message in end.newest if message.sequence == known.place.sequence), None)
        if end.sequence < known.place.sequence or len(later) != end.sequence - known.place.sequence:
            return None
        if there is not None and known.place.event_id and there.event_id != known.place.event_id:
            return None
        position, foreign, last_is_genuine = known.position, 0, there is not None and bool(known.place.event_id)
        for message in later:
            last_is_genuine = message.position == position + 1 and await self._is_genuine(message)
            if last_is_genuine:
                position = message.position
            else:
                foreign += 1
        event_id = later[-1].event_id if later else known.place.event_id
        place = StreamPlace(sequence=end.sequence, event_id=event_id if last_is_genuine else "")
        return Resumed(standing=Standing(position=position, place=place), foreign=foreign)

    async def _backwards(self, reached: Position) -> Resumed:
        """Look for the furthest event among the last messages, and further back where none of them is one; without any, how far the stream once
        was is all that there is to go by."""
        for limit in LOOK_BACK:
            end = await self._publisher.end(limit=limit)
            best = await self._furthest(end, reached)
            if best is not None or len(end.newest) < limit:
                break
        if best is None:
            return self._at(reached, end, foreign=len(end.newest))
        return self._at(
            best.position,
            end,
            genuine=best is end.newest[0],
            foreign=sum(message.sequence > best.sequence for message in end.newest),
            lost=max(reached - best.position, 0),
        )

    async def _furthest(self, end: StreamEnd, reached: Position) -> StreamMessage | None:
        best: StreamMessage | None = None
        for message in end.newest:
            if (best is None or message.position > best.position) and await self._is_genuine(message):
                best = message
                if best.position >= reached:
                    break
        return best

    def _at(
        self, position: Position, end: StreamEnd, *, genuine: bool = False, foreign: int = 0, lost: int = 0
    ) -> Resumed:
        place = StreamPlace(sequence=end.sequence, event_id=end.newest[0].event_id if genuine else "")
        return Resumed(standing=Standing(position=position, place=place), foreign=foreign, lost=lost)

    async def _is_whole(self, newest: Sequence[StreamMessage], reached: Position) -> bool:
        return bool(newest) and newest[0].position >= reached and await self._is_genuine(newest[0])

    async def _is_genuine(self, message: StreamMessage) -> bool:
        """Tell whether the log has the message's event where it says."""
        if not message.position or message.position > await self._events.head():
            return False
        page = await self._events.read(after=Position(message.position - 1), filter=_EVERYTHING, limit=1, max_bytes=1)
        return bool(page.events) and event_pb2.Event.FromString(page.events[0].record).event_id == message.event_id
