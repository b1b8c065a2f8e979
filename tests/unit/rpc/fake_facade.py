"""A facade that does what a test tells it, for the table and the binding above it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from types import SimpleNamespace
from typing import Any

from google.protobuf.message import Message

from comby.server.application.limits import Limits
from comby.server.application.pending import Reply
from comby.server.application.requests import CommandRequest, Goodbye, QueryAnswer, QueryRequest, Receipt, Stage
from comby.server.application.validation import Validation
from comby.server.domain.identity import LogIdentity, Position, Version
from shop.order.v1 import order_pb2

SECRET = "secret text: password=hunter2"
ORDER_ID = "0190a6b0-1111-7000-8000-000000000001"
_SERVICE = order_pb2.DESCRIPTOR.services_by_name["OrderService"]


class FakeFacade:
    """Answers every command with `receipt` and every query with `answer`; raises `error` instead, where it is set."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self.validation = Validation()
        self.identity = LogIdentity("log", "incarnation")
        commands = ("PlaceOrder", "AddLine", "PayOrder", "ShipOrder", "CancelOrder")
        self.registry: Any = SimpleNamespace(
            services=[_SERVICE],
            commands={f"shop.order.v1.{name}": SimpleNamespace(identifier=f"Order.{name}") for name in commands},
            queries={f"shop.order.v1.{name}": object() for name in ("GetOrder", "ListOrders", "WatchOrder")},
            digest="digest",
        )
        self.receipt = Receipt(
            request_id="", stage=Stage.EXECUTED, aggregate_id=ORDER_ID, aggregate_version=Version(1), token="t1"
        )
        self.answer = order_pb2.Order(order_id=ORDER_ID)
        self.error: BaseException | None = None
        self.delay = 0.0
        self.requests: list[CommandRequest | QueryRequest] = []
        self.stopping = asyncio.Event()

    def dispatch_command(self, request: CommandRequest) -> Awaitable[Receipt]:
        """Keep the request and answer it."""
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        return self._receipt(request)

    def dispatch_command_to(self, request: CommandRequest, reply: Reply) -> None:
        """Keep the request and answer it, if it is not to fail at once."""
        answer = asyncio.ensure_future(self.dispatch_command(request))
        answer.add_done_callback(lambda done: reply.set_result(done.result()))

    async def _receipt(self, request: CommandRequest) -> Receipt:
        await asyncio.sleep(self.delay)
        return Receipt(
            request_id=request.request_id,
            stage=self.receipt.stage,
            aggregate_id=self.receipt.aggregate_id,
            aggregate_version=self.receipt.aggregate_version,
            token=self.receipt.token,
            error=self.receipt.error,
        )

    async def dispatch_query(self, request: QueryRequest) -> QueryAnswer:
        """Keep the request and answer it."""
        self.requests.append(request)
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return QueryAnswer(self.answer, "t2")

    async def stream_query(self, request: QueryRequest) -> AsyncGenerator[Message, None]:
        """Answer once, and wait for the end."""
        self.requests.append(request)
        if self.error is not None:
            raise self.error
        yield self.answer
        await self.stopping.wait()

    async def subscribe(self, request: object) -> AsyncGenerator[Goodbye, None]:
        """Wait for the end, and say goodbye."""
        if self.error is not None:
            raise self.error
        await self.stopping.wait()
        yield Goodbye("SHUTTING_DOWN", Position(7))
