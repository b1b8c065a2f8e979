"""The methods of the FacadeService that stream events. A batch is bytes already, and is never parsed here."""

from collections.abc import AsyncGenerator

from comby.facade.v1 import context_pb2, event_pb2
from comby.server.application.facade import Facade
from comby.server.application.requests import (
    CaughtUp,
    Checkpoint,
    Confirmed,
    EventBatch,
    Goodbye,
    ReadRequest,
    SubscribeRequest,
    SubscriptionMessage,
)
from comby.server.domain.identity import LogIdentity, Position
from comby.server.rpc.call import Call
from comby.server.rpc.commands import SERVICE
from comby.server.rpc.decoding import decode, integer, seconds, selection, start
from comby.server.rpc.streams import closing
from comby.server.rpc.table import Method, Streaming
from comby.server.rpc.wire import length_delimited

_Response = event_pb2.SubscribeEventsResponse
EVENTS_FIELD = _Response.EVENTS_FIELD_NUMBER
DEFAULT_HEARTBEAT = 5.0
"""Seconds, as the contract tells."""


class EventMethods:
    """Reads ranges of the log, and follows it."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Streaming(path=f"{SERVICE}ReadEvents", handler=self.read),
            Streaming(path=f"{SERVICE}SubscribeEvents", handler=self.subscribe),
        ]

    async def read(self, raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """ReadEvents."""
        message = decode(event_pb2.ReadEventsRequest, raw, self._facade.validation)
        request = ReadRequest(
            selection=selection(message.filter, call.context(), message),
            after=Position(integer(message.after, "after", message)),
            backwards=message.backwards,
            limit=message.limit,
        )
        async with closing(self._facade.read_events(request)) as batches:
            async for batch in batches:
                yield batch.encoded

    async def subscribe(self, raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """SubscribeEvents."""
        message = decode(event_pb2.SubscribeEventsRequest, raw, self._facade.validation)
        request = SubscribeRequest(
            selection=selection(message.filter, call.context(), message),
            start=start(message),
            heartbeat=seconds(message.heartbeat) if message.HasField("heartbeat") else DEFAULT_HEARTBEAT,
            log=LogIdentity(message.log.log_id, message.log.incarnation) if message.HasField("log") else None,
        )
        async with closing(self._facade.subscribe(request)) as messages:
            async for one in messages:
                yield encode(one)


def encode(message: SubscriptionMessage) -> bytes:
    """Return one message of a subscription as bytes."""
    match message:
        case EventBatch():
            return length_delimited(EVENTS_FIELD, message.encoded)
        case Checkpoint():
            return _Response(checkpoint=_Response.Checkpoint(position=message.position)).SerializeToString()
        case CaughtUp():
            return _Response(caught_up=_Response.CaughtUp(position=message.position)).SerializeToString()
        case Goodbye():
            goodbye = _Response.Goodbye(reason=message.reason, resume_after=message.resume_after)
            return _Response(goodbye=goodbye).SerializeToString()
        case Confirmed():
            confirmed = _Response.Confirmed(
                subscription_id=message.subscription_id,
                log=context_pb2.LogIdentity(log_id=message.log.log_id, incarnation=message.log.incarnation),
                head=message.head,
                after=message.after,
            )
            return _Response(confirmed=confirmed).SerializeToString()
