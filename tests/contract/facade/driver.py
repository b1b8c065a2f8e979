"""What a test asks of a running facade, whatever lies between; the answers are the contract's own messages."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from google.protobuf.message import Message

from comby.facade.v1.command_pb2 import CommandReceipt, CommandRecord
from comby.facade.v1.context_pb2 import LogIdentity
from comby.facade.v1.event_pb2 import Event, SubscribeEventsResponse
from comby.facade.v1.projection_pb2 import Consumer, ParkedKey
from comby.facade.v1.query_pb2 import AggregateState
from comby.server.application.errors import FieldViolation
from comby.server.application.requests import Stage
from comby.server.domain.identity import DEFAULT_TENANT

AnswerT = TypeVar("AnswerT", bound=Message)


class Refused(Exception):
    """A call that ended with a typed error."""

    def __init__(
        self, reason: str, domain: str, metadata: Mapping[str, str], violations: Sequence[FieldViolation] = ()
    ) -> None:
        super().__init__(reason, domain, dict(metadata), list(violations))
        self.reason = reason
        self.domain = domain
        self.metadata = dict(metadata)
        self.fields = [violation.field for violation in violations]


@dataclass(frozen=True, slots=True)
class Told:
    """What a receipt says."""

    request_id: str
    stage: Stage
    aggregate_id: str
    version: int
    token: str
    event_ids: tuple[str, ...]
    reason: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A command as it is sent. `payload` are its bytes where they matter; `not_before` is microseconds since 1970."""

    command: Message
    tenant: str = DEFAULT_TENANT
    request_id: str = ""
    wait: Stage = Stage.EXECUTED
    wait_timeout: float | None = None
    expected_version: int | None = None
    not_before: int | None = None
    payload: bytes | None = None

    @property
    def bytes(self) -> bytes:
        return self.command.SerializeToString() if self.payload is None else self.payload

    @property
    def type(self) -> str:
        return str(self.command.DESCRIPTOR.full_name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events; `start` is "after", "after_token", "from_time" or "from_head", with its value."""

    tenant: str = DEFAULT_TENANT
    domains: Sequence[str] = ()
    types: Sequence[str] = ()
    aggregate_id: str = ""
    all_tenants: bool = False
    start: tuple[str, int | str | bool] = ("after", 0)
    heartbeat: float = 5.0
    log: LogIdentity | None = field(default=None)


class Driver(Protocol):
    """A caller. What is refused raises Refused; a receipt with an error is returned, since something is stored."""

    async def typed(self, command: Message, *, tenant: str = DEFAULT_TENANT) -> Told:
        """Call a command's own RPC."""
        ...

    async def dispatch(self, sent: Sent) -> Told:
        """Call DispatchCommand."""
        ...

    async def pipeline(self, sent: Sequence[Sent]) -> Sequence[Told]:
        """Send all at once, in order; the answers are in the order of `sent`."""
        ...

    async def wait(
        self, request_id: str, stage: Stage, *, timeout: float | None = None, tenant: str = DEFAULT_TENANT
    ) -> Told: ...

    async def get(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord: ...

    async def list(
        self,
        *stages: Stage,
        type: str = "",
        aggregate_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> tuple[Sequence[CommandRecord], str]: ...

    async def retry(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord: ...

    async def cancel(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord: ...

    async def ask(
        self, query: Message, answer: type[AnswerT], *, token: str = "", tenant: str = DEFAULT_TENANT
    ) -> AnswerT:
        """Call a query's own RPC."""
        ...

    async def query(self, query: Message, answer: type[AnswerT], *, token: str = "") -> tuple[AnswerT, str]:
        """Call DispatchQuery; return the answer and its token."""
        ...

    def watch(self, query: Message, answer: type[AnswerT], *, token: str = "") -> AsyncIterator[AnswerT]:
        """Call a live query's own RPC."""
        ...

    async def aggregate(
        self,
        aggregate_id: str,
        *,
        aggregate: str = "Bank.Account",
        version: int | None = None,
        time: int | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> AggregateState: ...

    async def aggregates(
        self,
        *,
        aggregate: str = "Bank.Account",
        filter: Mapping[str, str] | None = None,
        order_by: str = "",
        descending: bool = False,
        page_size: int = 0,
        page_token: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> tuple[Sequence[AggregateState], str]: ...

    async def read(
        self, wanted: Wanted, *, after: int = 0, backwards: bool = False, limit: int = 0
    ) -> Sequence[Event]: ...

    def subscribe(self, wanted: Wanted) -> AsyncIterator[SubscribeEventsResponse]: ...

    async def consumers(self) -> Mapping[str, Consumer]: ...

    async def rebuild(self, name: str) -> Consumer: ...

    async def parked(self, reactor: str, *, tenant: str = DEFAULT_TENANT) -> Sequence[ParkedKey]: ...

    async def resolve(self, key: ParkedKey, *, skip: bool, tenant: str = DEFAULT_TENANT) -> ParkedKey: ...


def told(receipt: CommandReceipt, reason: str = "", metadata: Mapping[str, str] | None = None) -> Told:
    """Read a receipt of the contract."""
    return Told(
        receipt.request_id,
        _STAGES[receipt.stage],
        receipt.aggregate_id,
        receipt.aggregate_version,
        receipt.consistency_token,
        tuple(receipt.event_ids),
        reason,
        dict(metadata or {}),
    )


_STAGES = {
    1: Stage.ACCEPTED,
    2: Stage.EXECUTED,
    3: Stage.PROJECTED,
    4: Stage.REJECTED,
    5: Stage.PARKED,
    6: Stage.CANCELLED,
}
STAGE_NUMBERS = {stage: number for number, stage in _STAGES.items()}
