"""The contract's own stubs on a real connection, as a driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from google.protobuf import any_pb2, duration_pb2, timestamp_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from comby.facade.v1 import command_pb2, event_pb2, projection_pb2, query_pb2
from comby.facade.v1.command_pb2 import CommandReceipt, CommandRecord, CommandStage
from comby.facade.v1.event_pb2 import Event, SubscribeEventsResponse
from comby.facade.v1.facade_service_pb2_grpc import FacadeServiceStub
from comby.facade.v1.projection_pb2 import Consumer, ParkedKey
from comby.facade.v1.query_pb2 import AggregateState
from comby.server.application.errors import FieldViolation
from comby.server.application.requests import Stage
from comby.server.domain.identity import DEFAULT_TENANT
from tests.contract.facade.driver import STAGE_NUMBERS, AnswerT, Refused, Sent, Told, Wanted, told

RequestT = TypeVar("RequestT")
ResultT = TypeVar("ResultT")
SERVICE = "/tests.domains.bank.v1.BankService/"
COMMANDS_PER_MESSAGE = 100


class OverGrpc:
    """Calls a server."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self._stub = FacadeServiceStub(channel)

    async def typed(self, command: Message, *, tenant: str = DEFAULT_TENANT) -> Told:
        try:
            receipt = await self._method(command, CommandReceipt)(command, metadata=_metadata(tenant))
        except grpc.aio.AioRpcError as error:
            return _told_by(error)
        return _told(receipt)

    async def dispatch(self, sent: Sent) -> Told:
        try:
            return _told(await self._stub.DispatchCommand(_request(sent), metadata=_metadata(sent.tenant)))
        except grpc.aio.AioRpcError as error:
            return _told_by(error)

    async def pipeline(self, sent: Sequence[Sent]) -> Sequence[Told]:
        async def messages() -> AsyncIterator[command_pb2.DispatchCommandsRequest]:
            for first in range(0, len(sent), COMMANDS_PER_MESSAGE):
                some = [_request(one) for one in sent[first : first + COMMANDS_PER_MESSAGE]]
                yield command_pb2.DispatchCommandsRequest(commands=some)

        (tenant,) = {one.tenant for one in sent}
        found: dict[str, CommandReceipt] = {}
        async with _refusing():
            async for answer in self._stub.DispatchCommands(messages(), metadata=_metadata(tenant)):
                found |= {receipt.request_id: receipt for receipt in answer.receipts}
        return [_told(found[one.request_id]) for one in sent]

    async def wait(
        self, request_id: str, stage: Stage, *, timeout: float | None = None, tenant: str = DEFAULT_TENANT
    ) -> Told:
        request = command_pb2.WaitForCommandRequest(
            request_id=request_id, stage=_stage(stage), timeout=_duration(timeout)
        )
        return _told(await _result(self._stub.WaitForCommand(request, metadata=_metadata(tenant))))

    async def get(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.GetCommandRequest(request_id=request_id)
        return await _result(self._stub.GetCommand(request, metadata=_metadata(tenant)))

    async def list(
        self,
        *stages: Stage,
        type: str = "",
        aggregate_id: str = "",
        page_size: int = 0,
        page_token: str = "",
        tenant: str = DEFAULT_TENANT,
    ) -> tuple[Sequence[CommandRecord], str]:
        request = command_pb2.ListCommandsRequest(
            stages=[_stage(stage) for stage in stages],
            type=type,
            aggregate_id=aggregate_id,
            page_size=page_size,
            page_token=page_token,
        )
        page = await _result(self._stub.ListCommands(request, metadata=_metadata(tenant)))
        return page.commands, page.next_page_token

    async def retry(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.RetryCommandRequest(request_id=request_id)
        return await _result(self._stub.RetryCommand(request, metadata=_metadata(tenant)))

    async def cancel(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.CancelCommandRequest(request_id=request_id)
        return await _result(self._stub.CancelCommand(request, metadata=_metadata(tenant)))

    async def ask(
        self, query: Message, answer: type[AnswerT], *, token: str = "", tenant: str = DEFAULT_TENANT
    ) -> AnswerT:
        return await _result(self._method(query, answer)(query, metadata=_metadata(tenant, token)))

    async def query(self, query: Message, answer: type[AnswerT], *, token: str = "") -> tuple[AnswerT, str]:
        request = query_pb2.DispatchQueryRequest(query=_packed(query), consistency_token=token)
        found = await _result(self._stub.DispatchQuery(request))
        message = answer()
        assert found.response.Unpack(message)
        return message, found.consistency_token

    async def watch(self, query: Message, answer: type[AnswerT], *, token: str = "") -> AsyncIterator[AnswerT]:
        call: grpc.aio.UnaryStreamMultiCallable[Message, AnswerT] = self._channel.unary_stream(
            SERVICE + query.DESCRIPTOR.name,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        async for message in _all(call(query, metadata=_metadata(DEFAULT_TENANT, token))):
            yield message

    async def aggregate(
        self,
        aggregate_id: str,
        *,
        aggregate: str = "Bank.Account",
        version: int | None = None,
        time: int | None = None,
        tenant: str = DEFAULT_TENANT,
    ) -> AggregateState:
        request = query_pb2.GetAggregateRequest(aggregate=aggregate, aggregate_id=aggregate_id)
        if version is not None:
            request.version = version
        if time is not None:
            request.time.CopyFrom(_timestamp(time))
        return await _result(self._stub.GetAggregate(request, metadata=_metadata(tenant)))

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
        request = query_pb2.ListAggregatesRequest(
            aggregate=aggregate,
            filter=filter or {},
            order_by=order_by,
            descending=descending,
            page_size=page_size,
            page_token=page_token,
        )
        page = await _result(self._stub.ListAggregates(request, metadata=_metadata(tenant)))
        return page.aggregates, page.next_page_token

    async def read(self, wanted: Wanted, *, after: int = 0, backwards: bool = False, limit: int = 0) -> Sequence[Event]:
        request = event_pb2.ReadEventsRequest(after=after, filter=_filter(wanted), backwards=backwards, limit=limit)
        call = self._stub.ReadEvents(request, metadata=_metadata(wanted.tenant))
        return [event async for answer in _all(call) for event in answer.events]

    async def subscribe(self, wanted: Wanted) -> AsyncIterator[SubscribeEventsResponse]:
        request = event_pb2.SubscribeEventsRequest(
            filter=_filter(wanted), heartbeat=_duration(wanted.heartbeat), log=wanted.log
        )
        match wanted.start:
            case ("after", int() as position):
                request.after = position
            case ("after_token", str() as token):
                request.after_token = token
            case ("from_time", int() as time):
                request.from_time.CopyFrom(_timestamp(time))
            case _:
                request.from_head = True
        async for message in _all(self._stub.SubscribeEvents(request, metadata=_metadata(wanted.tenant))):
            yield message

    async def consumers(self) -> Mapping[str, Consumer]:
        found = await _result(self._stub.ListConsumers(projection_pb2.ListConsumersRequest()))
        return {consumer.name: consumer for consumer in found.consumers}

    async def rebuild(self, name: str) -> Consumer:
        return await _result(self._stub.RebuildProjection(projection_pb2.RebuildProjectionRequest(name=name)))

    async def parked(self, reactor: str, *, tenant: str = DEFAULT_TENANT) -> Sequence[ParkedKey]:
        request = projection_pb2.ListParkedKeysRequest(reactor=reactor)
        return (await _result(self._stub.ListParkedKeys(request, metadata=_metadata(tenant)))).keys

    async def resolve(self, key: ParkedKey, *, skip: bool, tenant: str = DEFAULT_TENANT) -> ParkedKey:
        request = projection_pb2.ResolveParkedKeyRequest(
            reactor=key.reactor,
            domain=key.domain,
            aggregate_id=key.aggregate_id,
            action=projection_pb2.PARKED_KEY_ACTION_SKIP if skip else projection_pb2.PARKED_KEY_ACTION_RETRY,
        )
        return await _result(self._stub.ResolveParkedKey(request, metadata=_metadata(tenant)))

    def _method(self, message: Message, answer: type[AnswerT]) -> "grpc.aio.UnaryUnaryMultiCallable[Message, AnswerT]":
        return self._channel.unary_unary(
            SERVICE + message.DESCRIPTOR.name,
            request_serializer=lambda sent: sent.SerializeToString(),
            response_deserializer=answer.FromString,
        )


@asynccontextmanager
async def _refusing() -> AsyncIterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _refused(_status(error), error) from error


async def _result(awaitable: Awaitable[ResultT]) -> ResultT:
    async with _refusing():
        return await awaitable


async def _all(call: "grpc.aio.UnaryStreamCall[RequestT, ResultT]") -> AsyncIterator[ResultT]:
    try:
        async with _refusing():
            async for message in call:
                yield message
    finally:
        call.cancel()
        await asyncio.sleep(0)


def _status(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailers = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))


def _refused(status: status_pb2.Status, error: object) -> Refused:
    info = error_details_pb2.ErrorInfo()
    if not any(detail.Unpack(info) for detail in status.details):
        raise AssertionError(f"an error without details: {error!r}")
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(bad)
    violations = [FieldViolation(one.field, one.reason, one.description) for one in bad.field_violations]
    return Refused(info.reason, info.domain, dict(info.metadata), violations)


def _told_by(error: grpc.aio.AioRpcError) -> Told:
    """Return the receipt in an error's details; raise Refused where there is none."""
    status = _status(error)
    refused = _refused(status, error)
    receipt = CommandReceipt()
    if not any(detail.Unpack(receipt) for detail in status.details):
        raise refused from error
    return told(receipt, refused.reason, refused.metadata)


def _told(receipt: CommandReceipt) -> Told:
    if not receipt.error.code:
        return told(receipt)
    refused = _refused(receipt.error, receipt)
    if not receipt.stage:
        raise refused
    return told(receipt, refused.reason, refused.metadata)


def _request(sent: Sent) -> command_pb2.DispatchCommandRequest:
    options = command_pb2.CommandOptions(
        request_id=sent.request_id,
        expected_version=sent.expected_version,
        wait=_stage(sent.wait),
        wait_timeout=_duration(sent.wait_timeout),
        not_before=None if sent.not_before is None else _timestamp(sent.not_before),
    )
    command = any_pb2.Any(type_url=f"type.googleapis.com/{sent.type}", value=sent.bytes)
    return command_pb2.DispatchCommandRequest(command=command, options=options)


def _stage(stage: Stage) -> CommandStage.ValueType:
    return CommandStage.ValueType(STAGE_NUMBERS[stage])


def _filter(wanted: Wanted) -> event_pb2.EventFilter:
    return event_pb2.EventFilter(
        domains=wanted.domains,
        types=wanted.types,
        aggregate_id=wanted.aggregate_id,
        all_tenants=wanted.all_tenants,
    )


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _metadata(tenant: str, token: str = "") -> tuple[tuple[str, str], ...]:
    pairs = [] if tenant == DEFAULT_TENANT else [("comby-tenant-id", tenant)]
    return tuple([*pairs, ("comby-consistency-token", token)] if token else pairs)


def _duration(seconds: float | None) -> duration_pb2.Duration | None:
    if seconds is None:
        return None
    return duration_pb2.Duration(seconds=int(seconds), nanos=round((seconds - int(seconds)) * 1_000_000_000))


def _timestamp(microseconds: int) -> timestamp_pb2.Timestamp:
    seconds, rest = divmod(microseconds, 1_000_000)
    return timestamp_pb2.Timestamp(seconds=seconds, nanos=rest * 1000)
