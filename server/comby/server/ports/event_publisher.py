"""What the relay publishes the log's events through: a stream that a broker keeps for consumers outside of comby. It is never the truth."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from comby.server.domain.identity import Position, Version


@dataclass(slots=True, kw_only=True)
class OutgoingEvent:
    """An event on its way out. `message` is the serialized Event, complete with its position."""

    position: Position
    event_id: str
    tenant_id: str
    type: str
    version: Version
    correlation_id: str
    traceparent: str
    message: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMessage:
    """A message of the stream, as it tells of itself: anybody may have written it. What it does not tell is 0 or empty."""

    sequence: int
    position: Position
    event_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlace:
    """A place in the stream: a sequence (0 before the first message), and the event there; empty where it is not known, or no event of the log."""

    sequence: int
    event_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamEnd:
    """How a stream ends. `sequence` is the last one that it has given; 0 where it was just made. `newest` are its last
    messages, the newest first; none where its retention let go of all, or it was purged."""

    sequence: int
    newest: Sequence[StreamMessage]


class EventPublisher(ABC):
    """One stream of all events of a log, in the order of positions, each once.

    Every method raises BrokerUnavailable when the broker can not be used now, and StreamRefused when an operator has to do something.
    """

    @abstractmethod
    async def end(self, *, limit: int) -> StreamEnd:
        """Make the stream where there is none, see that it is what it should be, and return how it ends, with at most `limit` messages."""

    @abstractmethod
    async def publish(self, events: Sequence[OutgoingEvent], *, after: StreamPlace) -> StreamPlace:
        """Publish events that follow each other in the log; return where the last one is, once the broker has stored all of them.

        The first is stored only if the stream ends at `after`, and each further one only behind the one before it: what is stored of the
        events is always a first part of them, whatever happens. Raises StreamOvertaken where the stream ends elsewhere. After any error the caller
        asks for the `end` before it goes on: parts may be stored, and may still be on their way.
        """
