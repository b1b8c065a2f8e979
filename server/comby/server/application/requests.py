"""What the edge asks of the facade, and what it is answered: the same for every transport. Times are microseconds
since 1970 in UTC."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from google.protobuf.message import Message

from comby.server.application.errors import FacadeError
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import LogIdentity, Position, Version
from comby.server.ports.command_store import StoredCommand
from comby.server.ports.instance_store import Membership


class Stage(StrEnum):
    """How far a command has come, or how far to wait: accepted, executed or projected."""

    ACCEPTED = "accepted"
    EXECUTED = "executed"
    PROJECTED = "projected"
    REJECTED = "rejected"
    PARKED = "parked"
    CANCELLED = "cancelled"


@dataclass(slots=True)
class CommandRequest:
    """A command to dispatch. `type` is the message's full name and `payload` its bytes as sent.

    `wait_timeout` is in seconds; None waits as long as the facade allows. `retried` tells that the caller has sent it
    before, and `forwarded` that another instance has taken it for ours. `drawn` tells that the request id was made for
    the caller, who has not been told of it: another one may take its place.
    """

    type: str
    payload: bytes
    context: RequestContext
    request_id: str = ""
    wait: Stage = Stage.ACCEPTED
    wait_timeout: float | None = None
    expected_version: Version | None = None
    not_before: int | None = None
    retried: bool = False
    forwarded: bool = False
    drawn: bool = False


@dataclass(slots=True)
class Receipt:
    """How far a command has come. `position` is that of its last event; 0 where there is none. `token` is empty until
    it is executed."""

    request_id: str
    stage: Stage
    aggregate_id: str
    aggregate_version: Version = Version(0)
    position: Position = Position(0)
    token: str = ""
    event_ids: tuple[str, ...] = ()
    error: FacadeError | None = None


@dataclass(frozen=True, slots=True)
class CommandView:
    """A stored command and what a caller would be told of it now."""

    stored: StoredCommand
    receipt: Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandListRequest:
    """Selects stored commands of the context's tenant. `type` is an identifier; `page_size` 0 means 100."""

    context: RequestContext
    stages: frozenset[Stage] = frozenset()
    type: str = ""
    aggregate_id: str = ""
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class CommandPage:
    """One page of stored commands."""

    commands: Sequence[CommandView]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryRequest:
    """A query to answer. `type` is the message's full name. `token` is a consistency token, or empty."""

    type: str
    payload: bytes
    context: RequestContext
    token: str = ""


@dataclass(frozen=True, slots=True)
class QueryAnswer:
    """A query's answer, without internal fields, and the token of what it covers."""

    message: Message
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateRequest:
    """Names an aggregate by its identifier ("Order.Order") and id, and a moment: now when neither is set."""

    context: RequestContext
    aggregate: str
    aggregate_id: str
    version: Version | None = None
    time: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateListRequest:
    """Selects aggregates of one kind; see ListAggregatesRequest."""

    context: RequestContext
    aggregate: str
    filter: dict[str, str] = field(default_factory=dict)
    order_by: str = ""
    descending: bool = False
    page_size: int = 0
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class AggregateView:
    """An aggregate's state, without internal fields."""

    aggregate_id: str
    version: Version
    state: Message


@dataclass(frozen=True, slots=True)
class AggregatePage:
    """One page of aggregates."""

    aggregates: Sequence[AggregateView]
    next_page_token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSelection:
    """Selects events of the context's tenant, or of all; an empty field selects all. `aggregate_id` goes with exactly
    one domain."""

    context: RequestContext
    domains: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    aggregate_id: str = ""
    all_tenants: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """A finite read. `limit` 0 means none; `after` 0 with `backwards` means the end."""

    selection: EventSelection
    after: Position = Position(0)
    backwards: bool = False
    limit: int = 0


@dataclass(frozen=True, slots=True)
class AfterPosition:
    """Start after a position."""

    position: Position


@dataclass(frozen=True, slots=True)
class AfterToken:
    """Start after a consistency token."""

    token: str


@dataclass(frozen=True, slots=True)
class FromTime:
    """Start at the first event recorded at or after a time."""

    time: int


@dataclass(frozen=True, slots=True)
class FromHead:
    """Start with the next event."""


Start: TypeAlias = AfterPosition | AfterToken | FromTime | FromHead


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest:
    """An endless read. `heartbeat` is the longest silence, in seconds. `log` is the one that the start was taken
    from, if known."""

    selection: EventSelection
    start: Start = AfterPosition(Position(0))
    heartbeat: float = 5.0
    log: LogIdentity | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The first message of a subscription."""

    subscription_id: str
    log: LogIdentity
    head: Position
    after: Position


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events as bytes: `encoded` is the concatenation of `count` elements of a field `repeated Event events = 1`."""

    encoded: bytes
    count: int


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """History ends here."""

    position: Position


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """It is safe to resume after this position."""

    position: Position


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The stream ends on purpose."""

    reason: str
    resume_after: Position


SubscriptionMessage: TypeAlias = Confirmed | EventBatch | CaughtUp | Checkpoint | Goodbye


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerFailure:
    """What a consumer stands still at."""

    position: Position
    attempts: int
    since: int
    incident: str


class ConsumerKind(StrEnum):
    """What follows the log."""

    PROJECTION = "projection"
    REACTOR = "reactor"
    RELAY = "relay"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerView:
    """What follows the log, and how far it has come. `rebuilding` is the generation that is being built and its position."""

    name: str
    kind: ConsumerKind
    position: Position
    head: Position
    generation: int
    rebuilding: tuple[int, Position] | None = None
    parked_keys: int = 0
    failure: ConsumerFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """The instances that serve the log. `instance_id` is empty where one process has it for itself; `position` is how far this one has read.

    `snapshot_age` is in seconds; None where the store does not tell.
    """

    log: LogIdentity
    head: Position
    position: Position
    instance_id: str
    membership: Membership
    snapshot_age: float | None
