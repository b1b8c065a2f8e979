"""Errors: typed on every kind of call, equal in status and receipt, and without a word of an exception."""

from collections.abc import Iterator
from uuid import uuid4

import grpc
import pytest
from grpc import aio

from comby.facade.v1 import command_pb2
from shop.order.v1 import order_pb2
from shop.stock.v1 import stock_pb2
from tests.integration.edge.calls import FACADE, ORDERS, failed, failed_stream, info_in, info_of, place, status_of
from tests.integration.edge.conftest import SECRET


async def test_a_business_rule_is_told_alike_by_status_and_receipt(channel: aio.Channel) -> None:
    shelf = stock_pb2.AddStock(sku="tea", quantity=5).SerializeToString()
    stock = command_pb2.CommandReceipt.FromString(
        await channel.unary_unary("/shop.stock.v1.StockService/AddStock")(shelf)
    )
    placed = command_pb2.CommandReceipt.FromString(
        await channel.unary_unary(f"{ORDERS}PlaceOrder")(place(stock_id=stock.aggregate_id).SerializeToString())
    )
    pay = order_pb2.PayOrder(order_id=placed.aggregate_id, amount_cents=1).SerializeToString()
    request_id = str(uuid4())
    error = await failed(channel.unary_unary(f"{ORDERS}PayOrder")(pay, metadata=(("comby-request-id", request_id),)))
    info = info_of(error)
    assert (error.code(), info.reason, info.domain) == (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_AMOUNT", "Order")
    assert dict(info.metadata) == {"total_cents": "100"}

    got = command_pb2.GetCommandRequest(request_id=request_id).SerializeToString()
    record = command_pb2.CommandRecord.FromString(await channel.unary_unary(f"{FACADE}GetCommand")(got))
    unary = status_of(error)
    assert (unary.code, unary.message) == (record.receipt.error.code, record.receipt.error.message)
    assert list(record.receipt.error.details) == list(unary.details)[:-1]
    receipt = command_pb2.CommandReceipt()
    assert unary.details[-1].Unpack(receipt)
    assert (request_id, command_pb2.COMMAND_STAGE_REJECTED) == (receipt.request_id, receipt.stage)


async def test_no_text_of_an_exception_leaves_and_none_is_logged(
    channel: aio.Channel, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = place(f"{SECRET}@example.org")
    errors = [
        await failed(channel.unary_unary(f"{ORDERS}ListOrders")(b"", metadata=(("comby-tenant-id", SECRET),))),
        await failed(channel.unary_unary(f"{ORDERS}PlaceOrder")(secret.SerializeToString(), timeout=15)),
    ]
    for error in errors:
        assert grpc.StatusCode.INTERNAL is error.code()
        assert len(info_of(error).metadata["incident"]) == 32
        assert f"password={SECRET}" not in f"{error.details()}{error.debug_error_string()}{status_of(error)}"

    one = command_pb2.DispatchCommandRequest(
        options=command_pb2.CommandOptions(request_id=str(uuid4()), wait=command_pb2.COMMAND_STAGE_EXECUTED)
    )
    one.command.Pack(secret)
    raw = command_pb2.DispatchCommandsRequest(commands=[one]).SerializeToString()
    answer = await channel.stream_stream(f"{FACADE}DispatchCommands")(iter([raw]), timeout=15).read()
    (receipt,) = command_pb2.DispatchCommandsResponse.FromString(answer).receipts
    assert info_in(receipt.error).reason == "COMMAND_PARKED"
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err


async def test_unknown_methods_of_every_kind(channel: aio.Channel) -> None:
    for path in (f"{ORDERS}Nothing", "/a.B/C", "/"):
        unary = await failed(channel.unary_unary(path)(b"x"))
        stream = await failed_stream(channel.unary_stream(path)(b"x"))
        both = await failed_stream(channel.stream_stream(path)(_endless()))
        assert [(error.code(), info_of(error).reason) for error in (unary, stream, both)] == [
            (grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD")
        ] * 3


async def test_unknown_types(channel: aio.Channel) -> None:
    message = command_pb2.DispatchCommandRequest()
    message.command.type_url = "type.googleapis.com/no.Such"
    error = await failed(channel.unary_unary(f"{FACADE}DispatchCommand")(message.SerializeToString()))
    assert (
        error.code(),
        info_of(error).reason,
        dict(info_of(error).metadata),
    ) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_TYPE", {"type": "no.Such"})


def _endless() -> Iterator[bytes]:
    return iter([b"x"] * 3)
