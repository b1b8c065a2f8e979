"""From the messages of the contract to what the facade is asked: bytes are parsed, rules are checked, values are brought into range."""

from typing import TypeVar
from uuid import UUID

from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.protobuf.message import DecodeError, Message

from comby.facade.v1 import command_pb2, event_pb2
from comby.server.application.errors import FieldViolation, InvalidMessage
from comby.server.application.requests import (
    AfterPosition,
    AfterToken,
    CommandRequest,
    EventSelection,
    FromHead,
    FromTime,
    Stage,
    Start,
)
from comby.server.application.validation import Validation
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import Position, Version
from comby.server.rpc.encoding import MICROSECONDS, STAGES
from comby.server.rpc.metadata import REQUEST_ID

MessageT = TypeVar("MessageT", bound=Message)
LAST_INTEGER = 2**63 - 1
"""The highest position and version that every store can hold."""
_PLAIN_BYTES = {
    wait: command_pb2.CommandOptions(request_id=str(UUID(int=0)), wait=wait).ByteSize()
    for wait in command_pb2.CommandStage.values()
    if wait <= command_pb2.COMMAND_STAGE_PROJECTED
}
"""The size of options that are a request id and this stage, and nothing else."""
FIRST_SECOND, LAST_SECOND = -62_135_596_800, 253_402_300_799
"""The range of a protobuf Timestamp: the years 1 to 9999."""


def decode(message: type[MessageT], raw: bytes, validation: Validation) -> MessageT:
    """Parse a message and check its rules. Raises InvalidMessage."""
    parsed = parse(message, raw)
    validation.check(parsed)
    return parsed


def parse(message: type[MessageT], raw: bytes) -> MessageT:
    """Parse a message. Raises InvalidMessage."""
    try:
        return message.FromString(raw)
    except DecodeError:
        raise InvalidMessage(message.DESCRIPTOR.full_name) from None


def type_of(packed: any_pb2.Any) -> str:
    """Return the full name of the message in an Any."""
    return packed.type_url.rpartition("/")[2]


def microseconds(time: timestamp_pb2.Timestamp, field: str, message: Message) -> int:
    """Return a time in microseconds since 1970. Raises InvalidMessage when it is none of the calendar."""
    if not (FIRST_SECOND <= time.seconds <= LAST_SECOND and 0 <= time.nanos < 1_000_000_000):
        raise invalid(message, field, "timestamp.range", "must be a time of the years 1 to 9999")
    return time.seconds * MICROSECONDS + time.nanos // 1000


def seconds(duration: duration_pb2.Duration) -> float:
    """Return a duration in seconds."""
    return duration.seconds + duration.nanos / 1_000_000_000


def integer(value: int, field: str, message: Message) -> int:
    """Return a position or version. Raises InvalidMessage when no log can be that long."""
    if value > LAST_INTEGER:
        raise invalid(message, field, "uint64.lte", f"must be at most {LAST_INTEGER}")
    return value


def invalid(message: Message, field: str, rule: str, description: str) -> InvalidMessage:
    """Return the error of one broken rule."""
    return InvalidMessage(message.DESCRIPTOR.full_name, [FieldViolation(field, rule, description)])


def command_request(
    message: command_pb2.DispatchCommandRequest,
    context: RequestContext,
    request_id: str,
    *,
    wait_timeout: float | None,
    retried: bool,
) -> CommandRequest:
    """Return the command of a generic request, with the message's own options."""
    options = message.options
    return CommandRequest(
        type=type_of(message.command),
        payload=message.command.value,
        context=_caused(context, options),
        request_id=request_id,
        wait=STAGES.get(options.wait, Stage.ACCEPTED),
        wait_timeout=wait_timeout,
        expected_version=Version(integer(options.expected_version, "options.expected_version", message))
        if options.HasField("expected_version")
        else None,
        not_before=microseconds(options.not_before, "options.not_before", message)
        if options.HasField("not_before")
        else None,
        retried=retried,
    )


def _caused(context: RequestContext, options: command_pb2.CommandOptions) -> RequestContext:
    if not options.correlation_id and not options.causation_id:
        return context
    return RequestContext(
        tenant_id=context.tenant_id,
        actor_id=context.actor_id,
        correlation_id=options.correlation_id or context.correlation_id,
        causation_id=options.causation_id or context.causation_id,
        traceparent=context.traceparent,
    )


def plain_request(message: command_pb2.DispatchCommandRequest, context: RequestContext) -> CommandRequest | None:
    """Return the command of a generic request at the least cost where its options are a request id and a stage at most; else None.

    That there is nothing else is told by the size of the options, so no rule is left to be checked.
    """
    options = message.options
    request_id, wait, type_url = options.request_id, options.wait, message.command.type_url
    if REQUEST_ID.fullmatch(request_id) is None or options.ByteSize() != _PLAIN_BYTES.get(wait) or not type_url:
        return None
    return CommandRequest(
        type_url.rpartition("/")[2], message.command.value, context, request_id, STAGES.get(wait, Stage.ACCEPTED)
    )


def selection(filter: event_pb2.EventFilter, context: RequestContext, message: Message) -> EventSelection:
    """Return which events are selected. Raises InvalidMessage when an aggregate is named without its domain."""
    if filter.aggregate_id and len(set(filter.domains)) != 1:
        raise invalid(
            message, "filter.domains", "aggregate_id.domain", "must be exactly one domain beside an aggregate_id"
        )
    return EventSelection(
        context=context,
        domains=frozenset(filter.domains),
        types=frozenset(filter.types),
        aggregate_id=filter.aggregate_id,
        all_tenants=filter.all_tenants,
    )


def start(message: event_pb2.SubscribeEventsRequest) -> Start:
    """Return where a subscription begins."""
    match message.WhichOneof("start"):
        case "after_token":
            return AfterToken(message.after_token)
        case "from_time":
            return FromTime(microseconds(message.from_time, "from_time", message))
        case "from_head" if message.from_head:
            return FromHead()
        case _:
            return AfterPosition(Position(integer(message.after, "after", message)))
