"""Events between their three forms: a domain message, a stored record, and bytes on a stream.

A record is a serialized Event without `position` and `recorded_at`, which only the log knows; a reader appends them,
which in
protobuf means to set them, without parsing the record.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf import any_pb2
from google.protobuf.message import Message
from uuid_utils import uuid7

from comby.facade.v1 import context_pb2, event_pb2
from comby.server.application.contract import EventType
from comby.server.application.registry import Registry
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, Version
from comby.server.domain.recorded import Recorded
from comby.server.ports.elements import varint
from comby.server.ports.event_store import NewEvent, StoredEvent

# The fields of an Event, written by hand: an Event message costs twice the time, once for every event.
_EVENT_ID = b"\x12\x24"  # field 2, 36 characters
_AGGREGATE_ID = b"\x22"  # field 4
_VERSION = b"\x28"  # field 5, varint
_REQUEST_ID = b"\x4a"  # field 9
_CONTEXT = b"\x52"  # field 10
_PLAIN = b"\x5a"  # field 11
_VALUE = b"\x12"  # Any.value, field 2
# The fields of a RequestContext.
_TENANT_ID = b"\x0a"
_ACTOR_ID = b"\x12"
_CORRELATION_ID = b"\x1a"
_CAUSATION_ID = b"\x22"
_TRACEPARENT = b"\x2a"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode_context(context: RequestContext) -> bytes:
    """Serialize a request context, by hand: it is done for every command."""
    return (
        _text(_TENANT_ID, context.tenant_id)
        + _text(_ACTOR_ID, context.actor_id)
        + _text(_CORRELATION_ID, context.correlation_id)
        + _text(_CAUSATION_ID, context.causation_id)
        + _text(_TRACEPARENT, context.traceparent)
    )


def decode_context(data: bytes) -> RequestContext:
    """Parse a request context."""
    return context_of(context_pb2.RequestContext.FromString(data))


def new_event(
    key: AggregateKey, version: Version, message: Message, kind: EventType, request_id: str, context: bytes
) -> tuple[str, NewEvent]:
    """Return a new event's id, and the event ready for the store. `context` is a serialized RequestContext."""
    event_id = str(uuid7())
    content = message.SerializeToString()
    plain = kind.any_head + varint(len(content)) + content
    record = (
        _EVENT_ID
        + event_id.encode()
        + kind.event_head
        + _text(_AGGREGATE_ID, key.aggregate_id)
        + _VERSION
        + varint(version)
        + _text(_REQUEST_ID, request_id)
        + _CONTEXT
        + varint(len(context))
        + context
        + _PLAIN
        + varint(len(plain))
        + plain
    )
    return event_id, NewEvent(key=key, version=version, type=kind.identifier, request_id=request_id, record=record)


def _text(tag: bytes, text: str) -> bytes:
    """Write a field of text; nothing where it is empty."""
    if not text:
        return b""
    data = text.encode()
    return tag + varint(len(data)) + data


def event_heads(identifier: str, domain: str, revision: int, type_url: str) -> tuple[bytes, bytes]:
    """Return what all events of a type have in common, as bytes: of the Event, and of the Any inside it."""
    event = event_pb2.Event(domain=domain, type=identifier, revision=revision).SerializeToString()
    return event, any_pb2.Any(type_url=type_url).SerializeToString() + _VALUE


def payload(stored: StoredEvent, registry: Registry) -> Message:
    """Return the domain message of a stored event, in the form that the present contract gives it.

    Raises UnreadableEvent when no registered event has its name.
    """
    return message_of(event_pb2.Event.FromString(stored.record), registry)


def recorded(stored: StoredEvent, registry: Registry) -> Recorded[Any]:
    """Return a stored event as handlers see it; raises as `payload` does."""
    event = event_pb2.Event.FromString(stored.record)
    return Recorded(
        event=message_of(event, registry),
        position=stored.position,
        event_id=event.event_id,
        key=stored.key,
        version=stored.version,
        type=stored.type,
        revision=event.revision,
        recorded_at=EPOCH + timedelta(microseconds=stored.recorded_at),
        request_id=event.request_id,
        context=context_of(event.context),
    )


class UnreadableEvent(Exception):
    """A stored event's name belongs to no registered event: the contract lost a type that the log still has."""


def events_in(elements: bytes) -> Sequence[event_pb2.Event]:
    """Parse elements that stand end to end."""
    return event_pb2.ReadEventsResponse.FromString(elements).events


def message_of(event: event_pb2.Event, registry: Registry) -> Message:
    """Return the domain message of an event; raises as `payload` does."""
    kind = registry.event_named(event.type)
    if kind is None:
        raise UnreadableEvent(event.type)
    message = kind.message.FromString(event.plain.value)
    if kind.upcasters:
        for revision in range(event.revision, kind.revision):
            if revision in kind.upcasters:
                message = kind.upcasters[revision](message)
    return message


def context_of(message: context_pb2.RequestContext) -> RequestContext:
    """Return the context that a message tells."""
    return RequestContext(
        tenant_id=message.tenant_id,
        actor_id=message.actor_id,
        correlation_id=message.correlation_id,
        causation_id=message.causation_id,
        traceparent=message.traceparent,
    )
