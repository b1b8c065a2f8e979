"""The facade: the one object that serves an app. It registers what the app consists of, and offers all that a
transport binds."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import structlog
from google.protobuf.message import Message

from comby.server.application import incidents, projections, reactors
from comby.server.application.clustering import Announcements, Clustering, InstanceLife
from comby.server.application.errors import ConsumerNotFound
from comby.server.application.limits import Limits
from comby.server.application.pending import Reply
from comby.server.application.refresh import refresh_states
from comby.server.application.registration import Registration
from comby.server.application.relay import RELAY, RelayOptions
from comby.server.application.requests import (
    AggregateListRequest,
    AggregatePage,
    AggregateRequest,
    AggregateView,
    ClusterView,
    CommandListRequest,
    CommandPage,
    CommandRequest,
    CommandView,
    ConsumerView,
    EventBatch,
    QueryAnswer,
    QueryRequest,
    ReadRequest,
    Receipt,
    Stage,
    SubscribeRequest,
    SubscriptionMessage,
)
from comby.server.application.runtime import Runtime
from comby.server.application.sealing import seal
from comby.server.application.shared_ownership import SharedOwnership, ThisInstance
from comby.server.application.tokens import make_page_token, read_page_token
from comby.server.application.validation import Validation
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, CommandKey, LogIdentity, Position
from comby.server.ports.broker import Broker
from comby.server.ports.checkpoint_store import WaitingKey
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_publisher import EventPublisher
from comby.server.ports.instance_store import InstanceStore, Membership
from comby.server.ports.peers import Peers
from comby.server.ports.store import Store

_log = structlog.get_logger("comby.facade")
STOP_SECONDS = 1.0
"""For all that is stored at the end. What a store does not take by then is made good after the next start, as after a crash."""


class Facade(Registration):
    """Register, then enter it as an async context manager; all refusals of the app come then, as RegistrationRefused.

    Every method may raise Unavailable when the store can not be used now.
    """

    def __init__(self, name: str, store: Store, limits: Limits | None = None) -> None:
        super().__init__()
        self.name = name
        self.limits = limits or Limits()
        self.validation = Validation()
        self._store = store
        self._publishing: tuple[EventPublisher, RelayOptions] | None = None
        self._clustering: Clustering | None = None
        self._life: InstanceLife | None = None
        self._runtime: Runtime | None = None
        self._stack = AsyncExitStack()
        self._sealed = False
        self._tasks: list[asyncio.Task[None]] = []

    def seal(self) -> None:
        """Resolve everything that is registered; entering does it too. Raises RegistrationRefused."""
        if not self._sealed:
            seal(self.registry)
            self._sealed = True

    def publish_through(self, publisher: EventPublisher, options: RelayOptions) -> None:
        """Publish every event to consumers outside of comby, from entering on. Call it before `be_one_of`."""
        self._publishing = publisher, options

    def be_one_of(
        self, instances: InstanceStore, this: ThisInstance, broker: Broker, peers: Peers[CommandRequest, Receipt]
    ) -> None:
        """Share the log with other instances, from entering on; without it the facade has the log for itself."""
        self.seal()
        duties = [
            *map(projections.duty_of, self.registry.projections),
            *map(reactors.duty_of, self.registry.reactors),
            *([RELAY] if self._publishing is not None else []),
        ]
        self._clustering = Clustering(
            ownership=SharedOwnership(instances, this, self.limits, duties),
            announcements=Announcements(broker),
            broker=broker,
            peers=peers,
        )

    async def __aenter__(self) -> Self:
        self.seal()
        head = await self._store.events.head()
        clustering = self._clustering
        runtime = Runtime(self._store, self.registry, self.validation, self.middleware, self.limits, head, clustering)
        if self._publishing is not None:
            runtime.publish_through(*self._publishing)
        self._runtime = runtime
        self._stack.enter_context(runtime.watchdog.running())
        if self._store.events.unclean:
            runtime.commands.fast_path_after = asyncio.get_running_loop().time() + self.limits.suspicion
        self._spawn("commit queue", runtime.queue.run())
        self._spawn("tail", runtime.tail.run())
        await runtime.projections.start()
        await runtime.claims.recover()
        self._spawn("claims", runtime.claims.run())
        self._spawn("retention", runtime.claims.forget_old())
        self._spawn("refresh", refresh_states(self._store, self.registry, runtime.repository, runtime.queue))
        await runtime.reactors.start()
        if runtime.relay is not None:
            await runtime.relay.reconcile()
        if clustering is not None:
            self._life = runtime.instance_life(clustering)
            await self._life.begin()
            for what, task in self._life.tasks().items():
                self._spawn(what, task)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        runtime = self._running
        self.begin_stop()
        steps = [
            *([runtime.relay.stop] if runtime.relay is not None else []),
            runtime.reactors.stop,
            runtime.commands.stop,
            runtime.lanes.stop,
            runtime.projections.stop,
            runtime.queue.drained,
            *([self._life.end] if self._life is not None else []),
        ]
        latest = asyncio.get_running_loop().time() + STOP_SECONDS
        for step in steps:
            await _end_by(latest, step)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()
        self._runtime = None

    @property
    def _running(self) -> Runtime:
        if self._runtime is None:
            raise RuntimeError("the facade is not running: enter it with `async with`")
        return self._runtime

    @property
    def identity(self) -> LogIdentity:
        """The log, and its incarnation."""
        return self._store.events.identity

    async def head(self) -> Position:
        """Return the log's last position."""
        return await self._store.events.head()

    def begin_stop(self) -> None:
        """Take no more commands, and let subscriptions say goodbye; what is accepted goes on."""
        self._running.commands.stopping = True
        self._running.subscriptions.begin_stop()

    async def drain(self, timeout: float) -> None:
        """Wait, at most `timeout` seconds, until no command runs; who still waits for one then is told that the server ends."""
        try:
            async with asyncio.timeout(timeout):
                await self._running.lanes.drained()
                await self._running.queue.drained()
        except TimeoutError:
            await self._running.commands.stop()

    def dispatch_command(self, request: CommandRequest) -> asyncio.Future[Receipt]:
        """Dispatch a command; see CommandBus.dispatch."""
        return self._running.commands.dispatch(request)

    def dispatch_command_to(self, request: CommandRequest, reply: Reply) -> None:
        """Dispatch a command, and have its receipt taken by `reply`; see CommandBus.dispatch_to."""
        self._running.commands.dispatch_to(request, reply)

    async def wait_for_command(
        self, context: RequestContext, request_id: str, stage: Stage, timeout: float | None
    ) -> Receipt:
        """Wait until a command reaches a stage; see CommandRecords.wait."""
        return await self._running.records.wait(context, request_id.lower(), stage, timeout)

    async def get_command(self, context: RequestContext, request_id: str) -> CommandView:
        """Return a stored command. Raises CommandNotFound."""
        return await self._running.records.get(CommandKey(context.tenant_id, request_id.lower()))

    async def list_commands(self, request: CommandListRequest) -> CommandPage:
        """Return a page of stored commands."""
        return await self._running.records.list(request)

    async def retry_command(self, context: RequestContext, request_id: str) -> CommandView:
        """Queue a parked command again. Raises CommandNotFound or CommandNotParked."""
        return await self._running.records.retry(CommandKey(context.tenant_id, request_id.lower()))

    async def cancel_command(self, context: RequestContext, request_id: str) -> CommandView:
        """Give up a command. Raises CommandNotFound or CommandFinished."""
        return await self._running.records.cancel(CommandKey(context.tenant_id, request_id.lower()))

    async def dispatch_query(self, request: QueryRequest) -> QueryAnswer:
        """Answer a query; see QueryBus.dispatch."""
        return await self._running.queries.dispatch(request)

    def stream_query(self, request: QueryRequest) -> AsyncIterator[Message]:
        """Answer a live query; see QueryBus.stream."""
        return self._running.queries.stream(request)

    async def get_aggregate(self, request: AggregateRequest) -> AggregateView:
        """Return an aggregate's state; see History.get."""
        return await self._running.history.get(request)

    async def list_aggregates(self, request: AggregateListRequest) -> AggregatePage:
        """Return a page of aggregates; see History.list."""
        return await self._running.history.list(request)

    def read_events(self, request: ReadRequest) -> AsyncIterator[EventBatch]:
        """Read a finite range; see Subscriptions.read."""
        return self._running.subscriptions.read(request)

    def subscribe(self, request: SubscribeRequest) -> AsyncIterator[SubscriptionMessage]:
        """Open a subscription; see Subscriptions.subscribe."""
        return self._running.subscriptions.subscribe(request)

    async def cluster(self) -> ClusterView:
        """Return which instances serve the log, and what they own."""
        runtime = self._running
        instances = self._store.instances
        clustering = self._clustering
        membership = Membership((), {})
        if clustering is not None and instances is not None:
            membership = await instances.members(lease=self.limits.lease)
        return ClusterView(
            log=self.identity,
            head=await self._store.events.head(),
            position=runtime.tail.level.position,
            instance_id="" if clustering is None else clustering.ownership.this.instance_id,
            membership=membership,
            snapshot_age=None if instances is None else await instances.snapshot_age(),
        )

    async def consumers(self) -> Sequence[ConsumerView]:
        """Return all projections and reactors, and the relay, by name."""
        relay = self._running.relay
        views = [*await self._running.projections.views(), *await self._running.reactors.views()]
        if relay is not None:
            views.append(await relay.view())
        return sorted(views, key=lambda view: view.name)

    async def rebuild_projection(self, name: str) -> ConsumerView:
        """Begin a rebuild beside the live projection. Raises ConsumerNotFound or RebuildRunning."""
        return await self._running.projections.rebuild(name)

    async def waiting_keys(
        self, context: RequestContext, reactor: str, page_size: int, page_token: str
    ) -> tuple[Sequence[WaitingKey], str]:
        """Return a page of the aggregates that wait for a reactor, in the context's tenant. Raises ConsumerNotFound
        or InvalidToken."""
        scope = f"waiting/{context.tenant_id}/{reactor}"
        size = self.limits.page(page_size)
        start = int(read_page_token(scope, page_token, int)[0]) if page_token else 0
        found = await self._running.reactors.waiting_keys(context.tenant_id, reactor)
        token = make_page_token(scope, start + size) if len(found) > start + size else ""
        return found[start : start + size], token

    async def resolve_key(
        self, context: RequestContext, reactor: str, domain: str, aggregate_id: str, *, skip: bool
    ) -> WaitingKey:
        """Retry or skip the event at which a reactor failed. Raises ConsumerNotFound when the key does not wait."""
        key = AggregateKey(context.tenant_id, domain, aggregate_id.lower())
        resolved = await self._running.reactors.resolve(reactor, key, skip=skip)
        if resolved is None:
            raise ConsumerNotFound(reactor)
        return resolved

    def _spawn(self, what: str, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        task.add_done_callback(lambda done: _watch(what, done))
        self._tasks.append(task)


def _watch(what: str, task: asyncio.Task[None]) -> None:
    """Report a part that ended although it never should."""
    if not task.cancelled() and (error := task.exception()) is not None:
        incidents.report("part of the facade ended", error, part=what)


async def _end_by(latest: float, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step of the end, until a time of the loop: it has cancelled what it ends before it waits for anything."""
    try:
        async with asyncio.timeout_at(latest):
            await step()
    except (TimeoutError, StoreUnavailable):
        _log.warning("the store did not answer at the end", step=getattr(step, "__qualname__", ""))
