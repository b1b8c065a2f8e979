"""Calls about events: subscribe, and read a range."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import TypedDict, TypeVar, Unpack, overload

from google.protobuf.message import Message

from comby.client import _wire
from comby.client._connection import FACADE, Connection
from comby.client._records import Recorded, recorded
from comby.client._subscription import Subscription
from comby.client._subscription_status import Log, OnStatus
from comby.facade.v1 import event_pb2

E1 = TypeVar("E1", bound=Message)
E2 = TypeVar("E2", bound=Message)
E3 = TypeVar("E3", bound=Message)
E4 = TypeVar("E4", bound=Message)
E5 = TypeVar("E5", bound=Message)
E6 = TypeVar("E6", bound=Message)
E7 = TypeVar("E7", bound=Message)
E8 = TypeVar("E8", bound=Message)

HEARTBEAT = 5.0  # seconds; the server's default too


class SubscribeOptions(TypedDict, total=False):
    """Where a subscription starts (one of the first four; the log's beginning without), and what it selects."""

    after: int
    """After this position: 0 is the beginning."""
    after_token: str
    """After what this consistency token covers."""
    from_time: datetime
    """At the first event recorded at or after this time."""
    from_head: bool
    """Now; history is skipped."""
    log: Log | None
    """The log that `after` is of; `LogReplaced` is raised when it is another one now."""
    domains: Iterable[str]
    aggregate_id: str
    """One aggregate; together with exactly one domain, which one event type names as well."""
    all_tenants: bool
    heartbeat: float
    """The longest silence in seconds, from 0.1 to 60; after three of them the stream is opened anew."""
    on_status: OnStatus
    """Called with Connected, CaughtUp, Checkpoint and Disconnected."""
    tenant_id: str


class ReadOptions(TypedDict, total=False):
    """Which events to read."""

    after: int
    """The exclusive start; without, the log's beginning, or its end when backwards."""
    backwards: bool
    limit: int
    domains: Iterable[str]
    aggregate_id: str
    all_tenants: bool
    tenant_id: str
    timeout: float


class EventCalls:
    """The part of `Comby` that is about events."""

    _connection: Connection

    @overload
    def subscribe(self, **options: Unpack[SubscribeOptions]) -> Subscription[Message]: ...
    @overload
    def subscribe(self, t1: type[E1], /, **options: Unpack[SubscribeOptions]) -> Subscription[E1]: ...
    @overload
    def subscribe(
        self, t1: type[E1], t2: type[E2], /, **options: Unpack[SubscribeOptions]
    ) -> Subscription[E1 | E2]: ...
    @overload
    def subscribe(
        self, t1: type[E1], t2: type[E2], t3: type[E3], /, **options: Unpack[SubscribeOptions]
    ) -> Subscription[E1 | E2 | E3]: ...
    @overload
    def subscribe(
        self, t1: type[E1], t2: type[E2], t3: type[E3], t4: type[E4], /, **options: Unpack[SubscribeOptions]
    ) -> Subscription[E1 | E2 | E3 | E4]: ...
    @overload
    def subscribe(
        self,
        t1: type[E1],
        t2: type[E2],
        t3: type[E3],
        t4: type[E4],
        t5: type[E5],
        /,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[E1 | E2 | E3 | E4 | E5]: ...
    @overload
    def subscribe(
        self,
        t1: type[E1],
        t2: type[E2],
        t3: type[E3],
        t4: type[E4],
        t5: type[E5],
        t6: type[E6],
        /,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[E1 | E2 | E3 | E4 | E5 | E6]: ...
    @overload
    def subscribe(
        self,
        t1: type[E1],
        t2: type[E2],
        t3: type[E3],
        t4: type[E4],
        t5: type[E5],
        t6: type[E6],
        t7: type[E7],
        /,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[E1 | E2 | E3 | E4 | E5 | E6 | E7]: ...
    @overload
    def subscribe(
        self,
        t1: type[E1],
        t2: type[E2],
        t3: type[E3],
        t4: type[E4],
        t5: type[E5],
        t6: type[E6],
        t7: type[E7],
        t8: type[E8],
        /,
        **options: Unpack[SubscribeOptions],
    ) -> Subscription[E1 | E2 | E3 | E4 | E5 | E6 | E7 | E8]: ...
    def subscribe(self, *event_types: type[Message], **options: Unpack[SubscribeOptions]) -> Subscription[Message]:
        """Return an endless stream of the events of these types, or of all types when none is given.

        It resumes by itself after the last handled event; see `Subscription`. With no types an event whose
        generated module is not imported is an Any. The options are those of `SubscribeOptions`.
        """
        starts = [name for name in ("after", "after_token", "from_time", "from_head") if name in options]
        if len(starts) > 1:
            raise ValueError(f"give one start only, not {' and '.join(starts)}")
        request = event_pb2.SubscribeEventsRequest(filter=_filter(event_types, options))
        if "after_token" in options:
            request.after_token = options["after_token"]
        elif "from_time" in options:
            request.from_time.CopyFrom(_wire.timestamp(options["from_time"]))
        elif options.get("from_head"):
            request.from_head = True
        else:
            request.after = options.get("after", 0)
        if (log := options.get("log")) is not None:
            request.log.CopyFrom(log.to_wire())
        return Subscription(
            self._connection,
            request,
            types=_by_name(event_types),
            heartbeat=options.get("heartbeat", HEARTBEAT),
            on_status=options.get("on_status"),
            tenant_id=options.get("tenant_id"),
        )

    @overload
    def read_events(self, **options: Unpack[ReadOptions]) -> AsyncIterator[Recorded[Message]]: ...
    @overload
    def read_events(self, t1: type[E1], /, **options: Unpack[ReadOptions]) -> AsyncIterator[Recorded[E1]]: ...
    @overload
    def read_events(
        self, t1: type[E1], t2: type[E2], /, **options: Unpack[ReadOptions]
    ) -> AsyncIterator[Recorded[E1 | E2]]: ...
    @overload
    def read_events(
        self, t1: type[E1], t2: type[E2], t3: type[E3], /, **options: Unpack[ReadOptions]
    ) -> AsyncIterator[Recorded[E1 | E2 | E3]]: ...
    @overload
    def read_events(
        self, t1: type[E1], t2: type[E2], t3: type[E3], t4: type[E4], /, **options: Unpack[ReadOptions]
    ) -> AsyncIterator[Recorded[E1 | E2 | E3 | E4]]: ...
    @overload
    def read_events(
        self, *event_types: type[Message], **options: Unpack[ReadOptions]
    ) -> AsyncIterator[Recorded[Message]]: ...
    async def read_events(
        self, *event_types: type[Message], **options: Unpack[ReadOptions]
    ) -> AsyncIterator[Recorded[Message]]:
        """Yield a finite range of the log, or of one aggregate's history, and end. See `ReadOptions`."""
        request = event_pb2.ReadEventsRequest(
            after=options.get("after", 0),
            filter=_filter(event_types, options),
            backwards=options.get("backwards", False),
            limit=options.get("limit", 0),
        )
        known = _by_name(event_types)
        stream = self._connection.server_stream(
            f"{FACADE}ReadEvents",
            request,
            event_pb2.ReadEventsResponse,
            tenant_id=options.get("tenant_id"),
            timeout=options.get("timeout"),
        )
        async for response in stream:
            for event in response.events:
                yield recorded(event, known)


def _by_name(event_types: Iterable[type[Message]]) -> dict[str, type[Message]]:
    return {type_.DESCRIPTOR.full_name: type_ for type_ in event_types}


def _filter(event_types: tuple[type[Message], ...], options: SubscribeOptions | ReadOptions) -> event_pb2.EventFilter:
    domains = list(options.get("domains", ()))
    if "aggregate_id" in options and not domains:
        domains = sorted({_wire.domain_of(type_) for type_ in event_types})
        if len(domains) != 1:
            raise ValueError("an aggregate id is of one domain; give domains=[...]")
    return event_pb2.EventFilter(
        domains=domains,
        types=[_wire.identifier(type_) for type_ in event_types],
        aggregate_id=options.get("aggregate_id", ""),
        all_tenants=options.get("all_tenants", False),
    )
