"""An event with its place in the log, as projections and reactors see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, Position, Version

EventT = TypeVar("EventT", bound=Message, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Generic[EventT]):
    """A recorded event. `recorded_at` is in UTC; `revision` is that of the contract which recorded it."""

    event: EventT
    position: Position
    event_id: str
    key: AggregateKey
    version: Version
    type: str
    revision: int
    recorded_at: datetime
    request_id: str
    context: RequestContext

    @property
    def aggregate_id(self) -> str:
        """The aggregate that the event belongs to."""
        return self.key.aggregate_id
