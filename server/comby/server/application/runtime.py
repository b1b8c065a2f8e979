"""The parts of a running facade, made and wired in one place, in the order in which a command passes them."""

from dataclasses import dataclass, field

from comby.server.application.admission import Admission, partition_of
from comby.server.application.claims import Claims, now_micros
from comby.server.application.clustering import Clustering, InstanceLife, alone
from comby.server.application.command_bus import CommandBus
from comby.server.application.command_records import CommandRecords
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.decisions import Decider
from comby.server.application.duties import Duties
from comby.server.application.event_bus import EventBus
from comby.server.application.executor import Executor, Settlement
from comby.server.application.history import History
from comby.server.application.isolation import Isolation
from comby.server.application.lanes import Lanes
from comby.server.application.limits import Limits
from comby.server.application.live_states import LiveStates
from comby.server.application.log_tail import LogTail
from comby.server.application.outcomes import Outcomes
from comby.server.application.ownership import Ownership, SoleOwnership
from comby.server.application.pending import Pending
from comby.server.application.projections import Projections
from comby.server.application.query_bus import QueryBus
from comby.server.application.reactors import Reactors
from comby.server.application.read_models import ReadModels
from comby.server.application.registry import Registry
from comby.server.application.relay import Relay, RelayOptions
from comby.server.application.remote_ends import RemoteEnds
from comby.server.application.repository import Repository
from comby.server.application.requests import Receipt
from comby.server.application.running_reactor import ReactorParts
from comby.server.application.subscriptions import Subscriptions
from comby.server.application.tokens import ConsistencyTokens
from comby.server.application.validation import Validation
from comby.server.application.watchdog import Watchdog
from comby.server.domain.identity import AggregateKey, Position
from comby.server.domain.middleware import (
    CommandMiddleware,
    EventMiddleware,
    QueryMiddleware,
)
from comby.server.ports.event_publisher import EventPublisher
from comby.server.ports.event_store import EventFilter
from comby.server.ports.store import Store


@dataclass(slots=True)
class Middleware:
    """What stands around commands, queries and events, the outermost first."""

    commands: list[CommandMiddleware] = field(default_factory=list)
    queries: list[QueryMiddleware] = field(default_factory=list)
    events: list[EventMiddleware] = field(default_factory=list)


class Runtime:
    """Every part of a running facade, by name."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        validation: Validation,
        middleware: Middleware,
        limits: Limits,
        head: Position,
        clustering: Clustering | None,
    ) -> None:
        self._store = store
        self._registry = registry
        self._clustering = clustering
        self._limits = limits
        self.relay: Relay | None = None
        self.bus = EventBus(head)
        self.tokens = ConsistencyTokens(store.events.identity)
        self.ownership: Ownership = SoleOwnership() if clustering is None else clustering.ownership
        self.repository = Repository(store, registry, limits, None if clustering is None else self._owns)
        self.tail = LogTail(store.events, self.bus, limits, self.repository.note)
        announce = None if clustering is None else clustering.announcements.tell
        self.queue = CommitQueue(store.events, self.bus, limits, self.tail.offer, announce)
        self.watchdog = Watchdog(interrupt=limits.handler_interrupt, abort=limits.handler_abort)
        self._wire_commands(middleware, validation, limits)
        self._wire_consumers(middleware, limits)
        self._wire_reads(middleware, validation, limits)

    def _wire_commands(self, middleware: Middleware, validation: Validation, limits: Limits) -> None:
        decider = Decider(self._registry, self.repository, self.watchdog, middleware.commands, limits)
        self.executor = Executor(
            decider, self.queue, self.repository, self.tokens, Isolation(), limits, self._settle, self._comes_first
        )
        self.lanes = Lanes(self.executor.execute, self.executor.begin)
        self.outcomes = Outcomes()
        admission = Admission(self._registry, validation, self.ownership.owns)
        self.commands = CommandBus(
            admission,
            self.queue,
            self.lanes,
            self.outcomes,
            self.tokens,
            limits,
            self._cover,
            self.ownership,
            alone if self._clustering is None else self._clustering.peers.dispatch,
            self._store.commands,
        )
        self.claims = Claims(self._store.commands, self.commands, admission, limits, self.ownership)
        self.records = CommandRecords(
            self._store,
            self.queue,
            self.commands,
            admission,
            self.outcomes,
            self.tokens,
            limits,
            self._cover_stored,
            self.ownership,
        )

    def _wire_consumers(self, middleware: Middleware, limits: Limits) -> None:
        parts = ReactorParts(
            store=self._store,
            queue=self.queue,
            tail=self.tail,
            registry=self._registry,
            middleware=middleware.events,
            watchdog=self.watchdog,
            limits=limits,
            owns_duty=self.ownership.owns_duty,
            shared=self._clustering is not None,
            bus=self.commands,
            records=self.records,
        )
        self.projections = Projections(parts)
        self.reactors = Reactors(parts)
        self.duties = Duties([self.projections.reconcile, self.reactors.reconcile])

    def publish_through(self, publisher: EventPublisher, options: RelayOptions) -> None:
        """Add the relay."""
        self.relay = Relay(self._store, self.queue, self.tail, publisher, options, self.ownership.owns_duty)
        self.duties.add(self.relay.reconcile)

    def _wire_reads(self, middleware: Middleware, validation: Validation, limits: Limits) -> None:
        events = self._store.events
        read_models = ReadModels(self._store.read_models, self.repository, limits)
        live = LiveStates(self.repository, self.tail, self._registry, limits)
        self.queries = QueryBus(
            self._registry,
            validation,
            self.projections,
            read_models,
            live,
            self.tail,
            self.tokens,
            middleware.queries,
            self.watchdog,
            limits,
        )
        self.history = History(self._registry, self.repository, read_models, events)
        self.subscriptions = Subscriptions(events, self.tail, self._registry, self.tokens, limits)

    def instance_life(self, clustering: Clustering) -> InstanceLife:
        """Return what an instance among several needs besides."""
        ends = RemoteEnds(self._store.commands, self.commands, self.outcomes, self.tokens, self._cover_stored)
        return InstanceLife(
            clustering=clustering,
            bus=self.bus,
            commands=self.commands,
            store=self._store.commands,
            claims=self.claims,
            lanes=self.lanes,
            repository=self.repository,
            ends=ends,
            duties=self.duties,
            projections=self.projections,
        )

    def _owns(self, key: AggregateKey) -> bool:
        return self.ownership.owns(partition_of(key))

    async def _comes_first(self, pending: Pending) -> bool:
        """Tell whether no open command of an aggregate comes before one that runs: those that came to this process itself stand behind it.

        One that was claimed meanwhile stands there too, but another instance may have accepted it before.
        """
        limit = self._limits.claimed_commands
        keys = await self._store.commands.open_keys_of_aggregate(pending.aggregate, due=now_micros(), limit=limit)
        behind = pending.behind or ()
        for key in keys:
            if key == pending.key:
                return True
            one = self.commands.in_flight.get(key)
            if key not in behind and (one is None or one.claimed):
                return False
        return len(keys) < limit

    def _settle(self, pending: Pending, settlement: Settlement) -> None:
        self.commands.settle(pending, settlement)

    async def _cover(self, receipt: Receipt, types: frozenset[str] | None) -> None:
        """Wait until the projections that handle the caused events have applied them; look up which these are where
        `types` is None."""
        if types is None:
            await self._cover_stored(receipt)
        else:
            await self.projections.cover(self.projections.handling(types), receipt.position)

    async def _cover_stored(self, receipt: Receipt) -> None:
        """Do the same for a command whose events are looked up: one command's events stand together in the log."""
        count = len(receipt.event_ids)
        first = Position(receipt.position - count)
        page = await self._store.events.read(after=first, filter=EventFilter(), limit=max(count, 1), max_bytes=1 << 30)
        await self._cover(receipt, frozenset(stored.type for stored in page.events) if count else frozenset())
