"""Events between their three forms: a domain message, a stored record, and bytes on a stream.

A record is a serialized Event without `position` and `recorded_at`, which only the log knows; a reader appends them,
which in
protobuf means to set them, without parsing the record.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
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
from comby.server.ports.elements import SHORT_VARINTS, varint, varint_text
from comby.server.ports.event_store import NewEvent, StoredEvent

# The fields of an Event, written by hand: an Event message costs twice the time, once for every event.
# Ids are ASCII, so what has no other text is put together as text, which takes one step in place of many.
_EVENT_ID = "\x12\x24"  # field 2, 36 characters
_AGGREGATE_ID = "\x22"  # field 4
_VERSION = "\x28"  # field 5, varint
_REQUEST_ID = "\x4a"  # field 9
_CONTEXT = "\x52"  # field 10
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
    tenant_id, actor_id, correlation_id, causation_id, traceparent = context
    encoded = _who(tenant_id, actor_id) + _text(_CORRELATION_ID, correlation_id) + _text(_CAUSATION_ID, causation_id)
    return encoded + _text(_TRACEPARENT, traceparent) if traceparent else encoded


@lru_cache(maxsize=1024)
def _who(tenant_id: str, actor_id: str) -> bytes:
    """Serialize what nearly all commands of a caller have in common."""
    return _text(_TENANT_ID, tenant_id) + _text(_ACTOR_ID, actor_id)


def decode_context(data: bytes) -> RequestContext:
    """Parse a request context."""
    return context_of(context_pb2.RequestContext.FromString(data))


def new_event(
    key: AggregateKey, version: Version, message: Message, kind: EventType, request_id: str, context: bytes
) -> tuple[str, NewEvent]:
    """Return a new event's id, and the event ready for the store. `context` is a serialized RequestContext."""
    event_id = str(uuid7())
    content = message.SerializeToString()
    head = kind.any_head + varint(len(content))
    aggregate_id = key.aggregate_id
    fields = (
        f"{_EVENT_ID}{event_id}"
        f"{_AGGREGATE_ID}{SHORT_VARINTS[len(aggregate_id)]}{aggregate_id}"
        f"{_VERSION}{varint_text(version)}"
        f"{_REQUEST_ID}{SHORT_VARINTS[len(request_id)]}{request_id}"
        f"{_CONTEXT}{varint_text(len(context))}"
    )
    record = b"".join(
        (kind.event_head, fields.encode("latin-1"), context, _PLAIN, varint(len(head) + len(content)), head, content)
    )
    return event_id, NewEvent(key, version, kind.identifier, request_id, record)


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
