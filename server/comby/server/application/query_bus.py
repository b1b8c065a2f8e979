"""The query bus: answers queries in the caller's request, once their read models cover what the caller has seen."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError, Message

from comby.server.application.contract import QueryType
from comby.server.application.errors import (
    BusinessRule,
    InvalidMessage,
    Lagging,
    PositionBeyondHead,
    UnknownType,
)
from comby.server.application.limits import Limits
from comby.server.application.live_states import LiveStates
from comby.server.application.log_tail import LogTail
from comby.server.application.projections import Projections
from comby.server.application.read_models import ReadModels
from comby.server.application.refusals import RegistrationRefused
from comby.server.application.registry import Registry
from comby.server.application.requests import QueryAnswer, QueryRequest
from comby.server.application.scrubbing import Scrubber
from comby.server.application.tokens import ConsistencyTokens
from comby.server.application.validation import Validation
from comby.server.application.watchdog import Watchdog
from comby.server.domain.aggregate import Aggregate
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import Position
from comby.server.domain.middleware import QueryMiddleware
from comby.server.domain.projection import Page, Projection
from comby.server.domain.query import Versioned
from comby.server.domain.rejections import Rejected


class QueryBus:
    """Owns no state: everything that it needs is handed to the handler as a QueryContext."""

    def __init__(
        self,
        registry: Registry,
        validation: Validation,
        projections: Projections,
        read_models: ReadModels,
        live: LiveStates,
        tail: LogTail,
        tokens: ConsistencyTokens,
        middleware: list[QueryMiddleware],
        watchdog: Watchdog,
        limits: Limits,
    ) -> None:
        self._registry = registry
        self._validation = validation
        self._projections = projections
        self._tail = tail
        self._tokens = tokens
        self._middleware = middleware
        self._watchdog = watchdog
        self._limits = limits
        self._scrubber = Scrubber()
        self._read_models = read_models
        self._live = live

    async def dispatch(self, request: QueryRequest) -> QueryAnswer:
        """Answer a query that has one answer. Raises what the handler raises, InvalidMessage, UnknownType, Lagging or
        a token's error."""
        kind, query = self._admit(request)
        if kind.streams:
            raise UnknownType(request.type)
        await self._cover(kind, request.token)
        covered = self._projections.covered(kind.reads)
        context = self._context(kind, request.context)
        try:
            answer = await self._through_middleware(kind, query, request.context, context)
        except Rejected as rejected:
            raise BusinessRule(kind.identifier.partition(".")[0], rejected) from None
        self._scrubber.scrub(answer)
        return QueryAnswer(answer, self._tokens.make(covered))

    async def stream(self, request: QueryRequest) -> AsyncIterator[Message]:
        """Yield a live query's answers; one that equals the one before is left out."""
        kind, query = self._admit(request)
        if not kind.streams:
            raise UnknownType(request.type)
        await self._cover(kind, request.token)
        before: Message | None = None
        try:
            answers = kind.handler(query, self._context(kind, request.context))
            async for answer in self._guarded(kind.identifier, answers):
                self._scrubber.scrub(answer)
                if answer != before:
                    before = type(answer)()
                    before.CopyFrom(answer)  # the handler may go on with its own
                    yield answer
        except Rejected as rejected:
            raise BusinessRule(kind.identifier.partition(".")[0], rejected) from None

    async def _guarded(self, label: str, answers: AsyncIterator[Message]) -> AsyncIterator[Message]:
        while True:
            try:
                answer = await self._watchdog.guard(label, anext(answers))
            except StopAsyncIteration:
                return
            yield answer

    def _admit(self, request: QueryRequest) -> tuple[QueryType, Message]:
        kind = self._registry.queries.get(request.type)
        if kind is None:
            raise UnknownType(request.type)
        try:
            query = kind.message.FromString(request.payload)
        except DecodeError:
            raise InvalidMessage(request.type) from None
        self._validation.check(query)
        return kind, query

    async def _cover(self, kind: QueryType, token: str) -> None:
        """Wait until the query's read models cover a token."""
        if not token:
            return
        position = self._tokens.read(token)
        head = self._tail.level.position
        if position > head and not await self._tail.level.above(
            Position(position - 1), timeout=self._limits.longest_consistency_wait
        ):
            raise PositionBeyondHead(position=position, head=self._tail.level.position)
        if not kind.reads:
            return
        try:
            async with asyncio.timeout(self._limits.longest_consistency_wait):
                await self._projections.cover(kind.reads, position)
        except TimeoutError:
            raise Lagging(*self._projections.lag(kind.reads, position)) from None

    async def _through_middleware(
        self, kind: QueryType, query: Message, request: RequestContext, context: "_Context"
    ) -> Message:
        async def proceed(depth: int = 0) -> Message:
            if depth < len(self._middleware):
                return await self._middleware[depth].on_query(query, request, lambda: proceed(depth + 1))
            answer: Message = await self._watchdog.guard(kind.identifier, kind.handler(query, context))
            return answer

        return await proceed()

    def _context(self, kind: QueryType, request: RequestContext) -> "_Context":
        return _Context(kind, request, self._registry, self._projections, self._read_models, self._live, self._tail)


class _Context:
    """The QueryContext of one query."""

    def __init__(
        self,
        kind: QueryType,
        request: RequestContext,
        registry: Registry,
        projections: Projections,
        read_models: ReadModels,
        live: LiveStates,
        tail: LogTail,
    ) -> None:
        self._tail = tail
        self._kind = kind
        self._request = request
        self._registry = registry
        self._projections = projections
        self._read_models = read_models
        self._live = live

    @property
    def request(self) -> RequestContext:
        return self._request

    async def state(self, aggregate: type[Aggregate[Any]], aggregate_id: str) -> Versioned[Any]:
        kind = self._registry.aggregate_of(aggregate)
        return await self._read_models.state(kind, self._request.tenant_id, aggregate_id)

    async def states(self, aggregate: type[Aggregate[Any]], **paging: Any) -> Page[Any]:
        kind = self._registry.aggregate_of(aggregate)
        page = await self._read_models.states(kind, self._request.tenant_id, **_paging(**paging))
        return Page([versioned.state for versioned in page.rows], page.next_page_token)

    def watch(self, aggregate: type[Aggregate[Any]], aggregate_id: str) -> AsyncIterator[Versioned[Any]]:
        kind = self._registry.aggregate_of(aggregate)
        return self._live.watch(kind, self._request.tenant_id, aggregate_id)

    def rows(self, projection: type[Projection[Any]]) -> "_Rows":
        if projection.name not in self._kind.reads:
            raise RegistrationRefused(f"{self._kind.identifier} does not declare that it reads {projection.name}")
        return _Rows(projection, self._request.tenant_id, self._projections, self._read_models)

    async def changes(self) -> AsyncIterator[None]:
        position = self._projections.covered(self._kind.reads)
        yield
        while True:
            if self._kind.reads:
                await self._projections.cover(self._kind.reads, Position(position + 1))
            else:
                await self._tail.level.above(position)
            position = self._projections.covered(self._kind.reads)
            yield


class _Rows:
    """The RowReader of one projection."""

    def __init__(
        self, projection: type[Projection[Any]], tenant_id: str, projections: Projections, read_models: ReadModels
    ) -> None:
        self._projection = projection
        self._tenant_id = tenant_id
        self._projections = projections
        self._read_models = read_models

    async def get(self, key: str) -> Any:
        kind = self._projection
        while True:
            live = self._projections.live(kind.name)
            row = await self._read_models.row(live.model, kind.row_type, self._tenant_id, key)
            if self._projections.live(kind.name) is live:  # else its rows may have been dropped meanwhile
                return row

    async def list(self, **paging: Any) -> Page[Any]:
        kind = self._projection
        while True:
            live = self._projections.live(kind.name)
            page = await self._read_models.page(
                live.model, kind.name, kind.row_type, kind.indexed, self._tenant_id, **_paging(**paging)
            )
            if self._projections.live(kind.name) is live:
                break
        return Page([kind.row_type.FromString(row.row) for row in page.rows], page.next_page_token)


def _paging(
    *,
    filter: Mapping[str, Any] | None = None,
    order_by: str | None = None,
    descending: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> dict[str, Any]:
    return {
        "filter": filter,
        "order_by": order_by,
        "descending": descending,
        "page_size": page_size,
        "page_token": page_token,
    }
