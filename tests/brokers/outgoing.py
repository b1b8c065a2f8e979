"""Events as the relay hands them to a publisher, and what a stream holds of them."""

from dataclasses import dataclass

import nats
from nats.js.errors import NotFoundError

from comby.facade.v1 import event_pb2
from comby.server.domain.identity import Position, Version
from comby.server.ports.event_publisher import OutgoingEvent

STREAM = "shop-events"


@dataclass(frozen=True, slots=True)
class Held:
    """A message of the stream."""

    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes

    @property
    def position(self) -> int:
        """The position that it tells, 0 if none."""
        return int(self.headers.get("Comby-Position", "0"))

    @property
    def event(self) -> event_pb2.Event:
        """Its payload."""
        return event_pb2.Event.FromString(self.data)


def outgoing(position: int, *, tenant: str = "default", size: int = 0) -> OutgoingEvent:
    """Return the event of a position of a log that has only these."""
    event = event_pb2.Event(
        position=position, event_id=f"event-{position}", domain="Order", type="Order.OrderPlaced", version=position
    )
    event.request_id = "r" * size
    return OutgoingEvent(
        position=Position(position),
        event_id=event.event_id,
        tenant_id=tenant,
        type=event.type,
        version=Version(position),
        correlation_id="why",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        message=event.SerializeToString(),
    )


def some(first: int, last: int) -> list[OutgoingEvent]:
    """Return the events of positions from `first` to `last`."""
    return [outgoing(position) for position in range(first, last + 1)]


async def held(url: str, stream: str = STREAM) -> list[Held]:
    """Return every message of the stream, in its order."""
    async with await nats.connect(url) as client:
        jetstream = client.jetstream()
        try:
            state = (await jetstream.stream_info(stream)).state
        except NotFoundError:
            return []
        if not state.messages:
            return []
        reader = await jetstream.subscribe("", stream=stream, ordered_consumer=True)
        found = []
        async for message in reader.messages:
            found.append(Held(message.metadata.sequence.stream, message.subject, message.headers or {}, message.data))
            if found[-1].sequence == state.last_seq:
                return found
        raise AssertionError("the stream ended early")
