"""What the facade keeps, as Python values: recorded events, stored commands, states."""

from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from google.protobuf.message import Message

from comby.client import _status, _wire
from comby.client._outcome import Receipt, Waiting
from comby.facade.v1 import command_pb2, context_pb2, event_pb2, query_pb2

E_co = TypeVar("E_co", bound=Message, covariant=True)
S = TypeVar("S", bound=Message)
S_co = TypeVar("S_co", bound=Message, covariant=True)
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asked, in which tenant, and why."""

    tenant_id: str
    actor_id: str
    correlation_id: str
    causation_id: str
    traceparent: str

    @classmethod
    def from_wire(cls, context: context_pb2.RequestContext) -> "Context":
        return cls(
            tenant_id=context.tenant_id,
            actor_id=context.actor_id,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Generic[E_co]):
    """An event, and how it was recorded."""

    event: E_co
    position: int
    """The place in the log, from 1, without gaps."""
    event_id: str
    domain: str
    aggregate_id: str
    version: int
    """The aggregate's version after the event."""
    type: str
    """The identifier, "Domain.MessageName"."""
    revision: int
    recorded_at: datetime
    """In UTC; never falls from one position to the next."""
    request_id: str
    """The command that caused it."""
    context: Context


def recorded(event: event_pb2.Event, known: dict[str, type[Message]]) -> Recorded[Message]:
    """Return an event; its payload stays an Any when its type is neither in `known` nor imported."""
    class_ = known.get(event.plain.TypeName())
    return Recorded(
        event=_wire.known(event.plain) if class_ is None else class_.FromString(event.plain.value),
        position=event.position,
        event_id=event.event_id,
        domain=event.domain,
        aggregate_id=event.aggregate_id,
        version=event.version,
        type=event.type,
        revision=event.revision,
        recorded_at=_wire.moment(event.recorded_at),
        request_id=event.request_id,
        context=Context.from_wire(event.context),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRecord:
    """A command as stored."""

    receipt: Receipt
    type: str
    command: Message | None
    """None after the idempotency window; an Any where its type is not imported."""
    context: Context
    attempts: int
    accepted_at: datetime
    finished_at: datetime | None
    not_before: datetime | None

    @classmethod
    def from_wire(cls, record: command_pb2.CommandRecord, waiting: Waiting) -> "CommandRecord":
        return cls(
            receipt=_status.receipt_from_wire(record.receipt, waiting),
            type=record.type,
            command=_wire.known(record.command) if record.HasField("command") else None,
            context=Context.from_wire(record.context),
            attempts=record.attempts,
            accepted_at=_wire.moment(record.accepted_at),
            finished_at=_wire.moment(record.finished_at) if record.HasField("finished_at") else None,
            not_before=_wire.moment(record.not_before) if record.HasField("not_before") else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateState(Generic[S_co]):
    """The state of one aggregate at one version."""

    aggregate_id: str
    version: int
    state: S_co


def aggregate_state(wire: query_pb2.AggregateState, type_: type[S]) -> AggregateState[S]:
    return AggregateState(aggregate_id=wire.aggregate_id, version=wire.version, state=_wire.unpacked(wire.state, type_))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T_co]):
    """One page of a list."""

    items: tuple[T_co, ...]
    next_page_token: str
    """Give it as `page_token=` for the next page; empty on the last one."""
