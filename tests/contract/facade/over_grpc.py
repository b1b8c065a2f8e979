"""The contract's own stubs on a real connection, as a driver."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from comby.facade.v1 import command_pb2, event_pb2, projection_pb2, query_pb2
from comby.facade.v1.command_pb2 import CommandReceipt, CommandRecord
from comby.facade.v1.event_pb2 import Event, SubscribeEventsResponse
from comby.facade.v1.facade_service_pb2_grpc import FacadeServiceStub
from comby.facade.v1.projection_pb2 import Consumer, ParkedKey
from comby.facade.v1.query_pb2 import AggregateState
from comby.server.application.errors import FieldViolation
from comby.server.application.requests import Stage
from comby.server.domain.identity import DEFAULT_TENANT
from tests.contract.facade.driver import AnswerT, Refused, Sent, Told, Wanted, told
from tests.contract.facade.grpc_messages import (
    duration,
    filter_of,
    metadata_of,
    packed,
    request_of,
    stage_of,
    timestamp,
)

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
            receipt = await self._method(command, CommandReceipt)(command, metadata=metadata_of(tenant))
        except grpc.aio.AioRpcError as error:
            return _told_by(error)
        return _told(receipt)

    async def dispatch(self, sent: Sent) -> Told:
        try:
            return _told(await self._stub.DispatchCommand(request_of(sent), metadata=metadata_of(sent.tenant)))
        except grpc.aio.AioRpcError as error:
            return _told_by(error)

    async def pipeline(self, sent: Sequence[Sent]) -> Sequence[Told]:
        async def messages() -> AsyncIterator[command_pb2.DispatchCommandsRequest]:
            for first in range(0, len(sent), COMMANDS_PER_MESSAGE):
                some = [request_of(one) for one in sent[first : first + COMMANDS_PER_MESSAGE]]
                yield command_pb2.DispatchCommandsRequest(commands=some)

        (tenant,) = {one.tenant for one in sent}
        found: dict[str, CommandReceipt] = {}
        async with _refusing():
            async for answer in self._stub.DispatchCommands(messages(), metadata=metadata_of(tenant)):
                found |= {receipt.request_id: receipt for receipt in answer.receipts}
        return [_told(found[one.request_id]) for one in sent]

    async def wait(
        self, request_id: str, stage: Stage, *, timeout: float | None = None, tenant: str = DEFAULT_TENANT
    ) -> Told:
        request = command_pb2.WaitForCommandRequest(
            request_id=request_id, stage=stage_of(stage), timeout=duration(timeout)
        )
        return _told(await _result(self._stub.WaitForCommand(request, metadata=metadata_of(tenant))))

    async def get(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.GetCommandRequest(request_id=request_id)
        return await _result(self._stub.GetCommand(request, metadata=metadata_of(tenant)))

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
            stages=[stage_of(stage) for stage in stages],
            type=type,
            aggregate_id=aggregate_id,
            page_size=page_size,
            page_token=page_token,
        )
        page = await _result(self._stub.ListCommands(request, metadata=metadata_of(tenant)))
        return page.commands, page.next_page_token

    async def retry(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.RetryCommandRequest(request_id=request_id)
        return await _result(self._stub.RetryCommand(request, metadata=metadata_of(tenant)))

    async def cancel(self, request_id: str, *, tenant: str = DEFAULT_TENANT) -> CommandRecord:
        request = command_pb2.CancelCommandRequest(request_id=request_id)
        return await _result(self._stub.CancelCommand(request, metadata=metadata_of(tenant)))

    async def ask(
        self, query: Message, answer: type[AnswerT], *, token: str = "", tenant: str = DEFAULT_TENANT
    ) -> AnswerT:
        return await _result(self._method(query, answer)(query, metadata=metadata_of(tenant, token)))

    async def query(self, query: Message, answer: type[AnswerT], *, token: str = "") -> tuple[AnswerT, str]:
        request = query_pb2.DispatchQueryRequest(query=packed(query), consistency_token=token)
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
        async for message in _all(call(query, metadata=metadata_of(DEFAULT_TENANT, token))):
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
            request.time.CopyFrom(timestamp(time))
        return await _result(self._stub.GetAggregate(request, metadata=metadata_of(tenant)))

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
        page = await _result(self._stub.ListAggregates(request, metadata=metadata_of(tenant)))
        return page.aggregates, page.next_page_token

    async def read(self, wanted: Wanted, *, after: int = 0, backwards: bool = False, limit: int = 0) -> Sequence[Event]:
        request = event_pb2.ReadEventsRequest(after=after, filter=filter_of(wanted), backwards=backwards, limit=limit)
        call = self._stub.ReadEvents(request, metadata=metadata_of(wanted.tenant))
        return [event async for answer in _all(call) for event in answer.events]

    async def subscribe(self, wanted: Wanted) -> AsyncIterator[SubscribeEventsResponse]:
        request = event_pb2.SubscribeEventsRequest(
            filter=filter_of(wanted), heartbeat=duration(wanted.heartbeat), log=wanted.log
        )
        match wanted.start:
            case ("after", int() as position):
                request.after = position
            case ("after_token", str() as token):
                request.after_token = token
            case ("from_time", int() as time):
                request.from_time.CopyFrom(timestamp(time))
            case _:
                request.from_head = True
        async for message in _all(self._stub.SubscribeEvents(request, metadata=metadata_of(wanted.tenant))):
            yield message

    async def consumers(self) -> Mapping[str, Consumer]:
        found = await _result(self._stub.ListConsumers(projection_pb2.ListConsumersRequest()))
        return {consumer.name: consumer for consumer in found.consumers}

    async def rebuild(self, name: str) -> Consumer:
        return await _result(self._stub.RebuildProjection(projection_pb2.RebuildProjectionRequest(name=name)))

    async def parked(self, reactor: str, *, tenant: str = DEFAULT_TENANT) -> Sequence[ParkedKey]:
        request = projection_pb2.ListParkedKeysRequest(reactor=reactor)
        return (await _result(self._stub.ListParkedKeys(request, metadata=metadata_of(tenant)))).keys

    async def resolve(self, key: ParkedKey, *, skip: bool, tenant: str = DEFAULT_TENANT) -> ParkedKey:
        request = projection_pb2.ResolveParkedKeyRequest(
            reactor=key.reactor,
            domain=key.domain,
            aggregate_id=key.aggregate_id,
            action=projection_pb2.PARKED_KEY_ACTION_SKIP if skip else projection_pb2.PARKED_KEY_ACTION_RETRY,
        )
        return await _result(self._stub.ResolveParkedKey(request, metadata=metadata_of(tenant)))

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
