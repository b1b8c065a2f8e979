"""A scripted facade behind a real socket: it speaks the contract, and does what a test tells it."""
# ruff: noqa: N802  # the names of the contract

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from comby.client import RetryPolicy
from comby.facade.v1 import command_pb2, context_pb2, event_pb2, facade_service_pb2_grpc, query_pb2
from shop.order.v1 import order_pb2, order_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Message, Message]"
LOG = context_pb2.LogIdentity(log_id="log", incarnation="first")
FAST = RetryPolicy(initial=0.005, maximum=0.02)


async def fail(
    context: Context,
    code: grpc.StatusCode,
    reason: str,
    *,
    domain: str = "comby.facade.v1",
    retry: bool = False,
    **metadata: str,
) -> None:
    """End a call with an error as the facade does."""
    status = status_pb2.Status(code=code.value[0], message="told by the script")
    details = [error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata)]
    for detail in details:
        status.details.add().Pack(detail)
    if retry:
        delay = error_details_pb2.RetryInfo()
        delay.retry_delay.FromMilliseconds(5)
        status.details.add().Pack(delay)
    context.set_trailing_metadata(
        (("comby-request-id", "the-request"), ("grpc-status-details-bin", status.SerializeToString()))
    )
    await context.abort(code, status.message)


@dataclass
class Script(facade_service_pb2_grpc.FacadeServiceServicer, order_pb2_grpc.OrderServiceServicer):
    """What the server answers, call by call, and what it was sent."""

    unary: list[Callable[[Context], Awaitable[None]]] = field(default_factory=list)
    """Run before the answers of unary calls, one each."""
    stage: command_pb2.CommandStage.ValueType = command_pb2.COMMAND_STAGE_EXECUTED
    stages: list[command_pb2.CommandStage.ValueType] = field(default_factory=list)
    subscriptions: list[Callable[..., AsyncIterator[event_pb2.SubscribeEventsResponse]]] = field(default_factory=list)
    pipelines: list[Callable[..., AsyncIterator[command_pb2.DispatchCommandsResponse]]] = field(default_factory=list)
    metadata: list[dict[str, str]] = field(default_factory=list)
    requests: list[object] = field(default_factory=list)

    async def _heard(self, request: object, context: Context) -> None:
        self.requests.append(request)
        self.metadata.append({str(key): str(value) for key, value in context.invocation_metadata() or ()})
        if self.unary:
            await self.unary.pop(0)(context)

    def _receipt(self, request_id: str) -> command_pb2.CommandReceipt:
        return command_pb2.CommandReceipt(
            request_id=request_id, stage=self.stage, aggregate_id="one", aggregate_version=3, consistency_token="t"
        )

    async def PlaceOrder(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return self._receipt(self.metadata[-1]["comby-request-id"])

    async def GetOrder(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return order_pb2.Order(order_id=request.order_id)

    async def WatchOrder(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        yield order_pb2.Order(order_id=request.order_id, total_cents=1)
        yield order_pb2.Order(order_id=request.order_id, total_cents=2)

    async def DispatchCommand(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return self._receipt(request.options.request_id)

    async def WaitForCommand(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        receipt = self._receipt(request.request_id)
        receipt.stage = self.stages.pop(0)
        return receipt

    async def RetryCommand(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return command_pb2.CommandRecord(receipt=self._receipt(request.request_id))

    async def DispatchQuery(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return query_pb2.DispatchQueryResponse(response=_any(order_pb2.Order(order_id="one")))

    async def GetAggregate(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        return query_pb2.AggregateState(aggregate_id="one", version=2, state=_any(order_pb2.Order(order_id="one")))

    async def ReadEvents(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        yield event_pb2.ReadEventsResponse(events=[event(1), event(2)])

    async def SubscribeEvents(self, request, context):  # type: ignore[no-untyped-def]
        await self._heard(request, context)
        async for response in self.subscriptions.pop(0)(request, context):
            yield response

    async def DispatchCommands(self, requests, context):  # type: ignore[no-untyped-def]
        await self._heard(None, context)
        async for response in self.pipelines.pop(0)(requests, context):
            yield response


def _any(message: order_pb2.Order | order_pb2.OrderPaid) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def event(position: int) -> event_pb2.Event:
    """Return an event that pays as many cents as its position."""
    return event_pb2.Event(
        position=position,
        event_id=f"event-{position}",
        domain="Order",
        aggregate_id="one",
        version=position,
        type="Order.OrderPaid",
        revision=1,
        plain=_any(order_pb2.OrderPaid(amount_cents=position)),
    )
