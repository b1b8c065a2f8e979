"""The facade's own API as a driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import aclosing
from typing import TypeVar, cast

from google.protobuf.message import Message
from google.rpc import error_details_pb2

from comby.facade.v1.command_pb2 import CommandRecord
from comby.facade.v1.event_pb2 import Event, ReadEventsResponse, SubscribeEventsResponse
from comby.facade.v1.projection_pb2 import Consumer, ParkedKey
from comby.facade.v1.query_pb2 import AggregateState
from comby.server import Facade, RequestContext
from comby.server.application.errors import FacadeError, InvalidMessage
from comby.server.application.requests import (
    AfterPosition,
    AfterToken,
    AggregateListRequest,
    AggregateRequest,
    AggregateView,
    CommandListRequest,
    CommandRequest,
    CommandView,
    EventBatch,
    EventSelection,
    FromHead,
    FromTime,
    QueryRequest,
    ReadRequest,
    Receipt,
    Stage,
    Start,
    SubscribeRequest,
)
from comby.server.domain.identity import DEFAULT_TENANT, LogIdentity, Position, Version
from comby.server.rpc.commands import CommandMethods
from comby.server.rpc.encoding import receipt_message
from comby.server.rpc.events import encode
from comby.server.rpc.operations import _consumer, _keys
from comby.server.rpc.queries import packed
from tests.contract.facade.driver import AnswerT, Refused, Sent, Told, Wanted, told

ResultT = TypeVar("ResultT")


class InProcess:
    """Calls a facade in this process."""

    def __init__(self, facade: Facade) -> None:
        self._facade = facade
        self._records = CommandMethods(facade)

    async def typed(self, command: Message, *, tenant: str = DEFAULT_TENANT) -> Told:
        return await self.dispatch(Sent(command=command, tenant=tenant))

    async def dispatch(self, sent: Sent) -> Told:
        return _told(await _result(self._begin(sent)))

    async def pipeline(self, sent: Sequence[Sent]) -> Sequence[Told]:
        return [_told(receipt) for receipt in await _result(asyncio.gather(*[self._begin(one) for one in sent]))]

    def _begin(self, sent: Sent) -> asyncio.Future[Receipt]:
        try:
            return self._facade.dispatch_command(
                CommandRequest(
                    type=sent.type,
                    payload=sent.bytes,
                    context=_context(sent.tenant),
                    request_id=sent.request_id,
                    wait=sent.wait,
                    wait_timeout=sent.wait_timeout,
                    expected_version=None if sent.expected_version is None else Version(sent.expected_version),
                    not_before=sent.not_before,
                )
            )
        except FacadeError as error:
            future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
            future.set_exception(error)
            return future

    async def wait(
        self, request_id: str, stage: Stage, *, timeout: float | None = None, tenant: str = DEFAULT_TENANT
    ) -> Told:
        return _told(await _result(self._facade.wait_for_command(_context(tenant), request_id, stage, timeout)))

    async def get(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        return self._record(await _result(self._facade.get_command(_context(tenant), request_id)))

    async def list(
        self,
        *stages: Stage,
        type: str = "",
        aggregate_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> tuple[Sequence[CommandRecord], str]:
        request = CommandListRequest(
            context=_context(tenant),
            stages=frozenset(stages),
            type=type,
            aggregate_id=aggregate_id,
            page_size=page_size,
            page_token=page_token,
        )
        page = await _result(self._facade.list_commands(request))
        return [self._record(view) for view in page.commands], page.next_page_token

    async def retry(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        return self._record(await _result(self._facade.retry_command(_context(tenant), request_id)))

    async def cancel(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        return self._record(await _result(self._facade.cancel_command(_context(tenant), request_id)))

    def _record(self, view: CommandView) -> CommandRecord:
        return self._records._record(view)

    async def ask(
        self, query: Message, answer: type[AnswerT], *, token: str = "", tenant: str = DEFAULT_TENANT
    ) -> AnswerT:
        found = await _result(self._facade.dispatch_query(_query(query, token, tenant)))
        return cast(AnswerT, found.message)

    async def query(self, query: Message, answer: type[AnswerT], *, token: str = "") -> tuple[AnswerT, str]:
        found = await _result(self._facade.dispatch_query(_query(query, token, DEFAULT_TENANT)))
        return cast(AnswerT, found.message), found.token

    async def watch(self, query: Message, answer: type[AnswerT], *, token: str = "") -> AsyncIterator[AnswerT]:
        async for message in _all(self._facade.stream_query(_query(query, token, DEFAULT_TENANT))):
            yield answer.FromString(message.SerializeToString())

    async def aggregate(
        self,
        aggregate_id: str,
        *,
        aggregate: str = "Bank.Account",
        version: int | None = None,
        time: int | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> AggregateState:
        request = AggregateRequest(
            context=_context(tenant),
            aggregate=aggregate,
            aggregate_id=aggregate_id,
            version=None if version is None else Version(version),
            time=time,
        )
        return _state(await _result(self._facade.get_aggregate(request)))

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
    ) -> tuple[Sequence[AggregateState], str]:
        request = AggregateListRequest(
            context=_context(tenant),
            aggregate=aggregate,
            filter=dict(filter or {}),
            order_by=order_by,
            descending=descending,
            page_size=page_size,
            page_token=page_token,
        )
        page = await _result(self._facade.list_aggregates(request))
        return [_state(view) for view in page.aggregates], page.next_page_token

    async def read(self, wanted: Wanted, *, after: int = 0, backwards: bool = False, limit: int = 0) -> Sequence[Event]:
        request = ReadRequest(selection=_selection(wanted), after=Position(after), backwards=backwards, limit=limit)
        batches: list[EventBatch] = [batch async for batch in _all(self._facade.read_events(request))]
        events = [event for batch in batches for event in ReadEventsResponse.FromString(batch.encoded).events]
        assert len(events) == sum(batch.count for batch in batches)
        return events

    async def subscribe(self, wanted: Wanted) -> AsyncIterator[SubscribeEventsResponse]:
        request = SubscribeRequest(
            selection=_selection(wanted),
            start=_start(wanted),
            heartbeat=wanted.heartbeat,
            log=LogIdentity(wanted.log.log_id, wanted.log.incarnation) if wanted.log else None,
        )
        async for message in _all(self._facade.subscribe(request)):
            yield SubscribeEventsResponse.FromString(encode(message))

    async def consumers(self) -> Mapping[str, Consumer]:
        return {view.name: _consumer(view) for view in await _result(self._facade.consumers())}

    async def rebuild(self, name: str) -> Consumer:
        return _consumer(await _result(self._facade.rebuild_projection(name)))

    async def parked(self, reactor: str, *, tenant: str = DEFAULT_TENANT) -> Sequence[ParkedKey]:
        keys, _ = await _result(self._facade.waiting_keys(_context(tenant), reactor, 0, ""))
        return _keys(keys)

    async def resolve(self, key: ParkedKey, *, skip: bool, tenant: str = DEFAULT_TENANT) -> ParkedKey:
        resolving = self._facade.resolve_key(_context(tenant), key.reactor, key.domain, key.aggregate_id, skip=skip)
        return _keys([await _result(resolving)])[0]


async def _result(awaitable: Awaitable[ResultT]) -> ResultT:
    try:
        return await awaitable
    except FacadeError as error:
        raise _refused(error) from error


async def _all(messages: AsyncIterator[ResultT]) -> AsyncIterator[ResultT]:
    async with aclosing(messages) as closing:  # type: ignore[type-var]  # it is a generator
        try:
            async for message in closing:
                yield message
        except FacadeError as error:
            raise _refused(error) from error


def _refused(error: FacadeError) -> Refused:
    violations = error.violations if isinstance(error, InvalidMessage) else ()
    return Refused(error.reason, error.domain, error.metadata, violations)


def _told(receipt: Receipt) -> Told:
    message = receipt_message(receipt)
    if receipt.error is None:
        return told(message)
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in message.error.details)
    return told(message, receipt.error.reason, receipt.error.metadata)


def _context(tenant: str) -> RequestContext:
    return RequestContext(tenant_id=tenant)


def _query(query: Message, token: str, tenant: str) -> QueryRequest:
    return QueryRequest(
        type=query.DESCRIPTOR.full_name, payload=query.SerializeToString(), context=_context(tenant), token=token
    )


def _state(view: AggregateView) -> AggregateState:
    return AggregateState(aggregate_id=view.aggregate_id, version=view.version, state=packed(view.state))


def _selection(wanted: Wanted) -> EventSelection:
    return EventSelection(
        context=_context(wanted.tenant),
        domains=frozenset(wanted.domains),
        types=frozenset(wanted.types),
        aggregate_id=wanted.aggregate_id,
        all_tenants=wanted.all_tenants,
    )


def _start(wanted: Wanted) -> Start:
    match wanted.start:
        case ("after", int() as position):
            return AfterPosition(Position(position))
        case ("after_token", str() as token):
            return AfterToken(token)
        case ("from_time", int() as time):
            return FromTime(time)
        case _:
            return FromHead()
