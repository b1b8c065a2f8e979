"""Calls as any client makes them, and what a failed one tells."""

from uuid import uuid4

import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from shop.order.v1 import order_pb2

FACADE = "/comby.facade.v1.FacadeService/"
ORDERS = "/shop.order.v1.OrderService/"


def place(email: str = "ada@example.org", stock_id: str = "") -> order_pb2.PlaceOrder:
    """Return a good command. Without the id of some stock the order is cancelled in a moment, for want of it."""
    line = order_pb2.OrderLine(stock_id=stock_id or str(uuid4()), quantity=1, unit_price_cents=100)
    return order_pb2.PlaceOrder(customer_email=email, lines=[line])


async def failed(call: aio.UnaryUnaryCall[bytes, bytes]) -> aio.AioRpcError:
    """Return the error of a unary call."""
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


async def failed_stream(
    call: aio.UnaryStreamCall[bytes, bytes] | aio.StreamStreamCall[bytes, bytes],
) -> aio.AioRpcError:
    """Return the error of a stream."""
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return caught.value


def status_of(error: aio.AioRpcError) -> status_pb2.Status:
    """Return the status in the details."""
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    assert isinstance(raw, bytes)
    return status_pb2.Status.FromString(raw)


def info_of(error: aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    """Return the ErrorInfo in the details."""
    return info_in(status_of(error))


def info_in(status: status_pb2.Status) -> error_details_pb2.ErrorInfo:
    """Return the ErrorInfo of a status."""
    found = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(found)
    return found
