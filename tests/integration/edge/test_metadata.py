"""Metadata over the wire: what is wrong is named, and never repeated."""

from uuid import UUID, uuid4

import pytest
from grpc import aio

from comby.facade.v1 import command_pb2
from shop.order.v1 import order_pb2
from tests.integration.edge.calls import FACADE, ORDERS, failed, failed_stream, info_of, place

VALUE = "a-value-that-is-never-told"


@pytest.mark.parametrize(
    "pairs",
    [
        (("comby-nonsense", VALUE),),
        (("comby-nonsense-bin", VALUE.encode()),),
        (("comby-tenant-id", "a"), ("comby-tenant-id", "b")),
        (("comby-tenant-id", VALUE.upper()),),
        (("comby-request-id", VALUE),),
        (("comby-wait", VALUE),),
        (("comby-wait-timeout", VALUE),),
        (("comby-expected-version", VALUE),),
        (("comby-not-before", VALUE),),
        (("comby-retry", VALUE),),
        (("comby-consistency-token", VALUE),),
    ],
)
async def test_a_command_with_a_wrong_key(channel: aio.Channel, pairs: tuple[tuple[str, str], ...]) -> None:
    error = await failed(channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString(), metadata=pairs))
    assert ("INVALID_METADATA", {"key": pairs[0][0]}) == (info_of(error).reason, dict(info_of(error).metadata))
    assert VALUE not in str(error).lower()


@pytest.mark.parametrize("key", ["comby-wait", "comby-wait-timeout", "comby-expected-version", "comby-not-before"])
async def test_the_keys_of_commands_on_other_methods(channel: aio.Channel, key: str) -> None:
    values = {
        "comby-wait": "executed",
        "comby-wait-timeout": "1s",
        "comby-expected-version": "1",
        "comby-not-before": "2030-01-01T00:00:00Z",
    }
    metadata = ((key, values[key]),)
    errors = [
        await failed(channel.unary_unary(f"{ORDERS}GetOrder")(b"", metadata=metadata)),
        await failed(channel.unary_unary(f"{FACADE}ListCommands")(b"", metadata=metadata)),
        await failed_stream(channel.unary_stream(f"{ORDERS}WatchOrder")(b"", metadata=metadata)),
        await failed_stream(channel.stream_stream(f"{FACADE}DispatchCommands")(iter(()), metadata=metadata)),
    ]
    assert [{"key": key}] * 4 == [dict(info_of(error).metadata) for error in errors]


async def test_options_come_from_one_place(channel: aio.Channel) -> None:
    message = command_pb2.DispatchCommandRequest(
        options=command_pb2.CommandOptions(wait=command_pb2.COMMAND_STAGE_EXECUTED)
    )
    message.command.Pack(place())
    call = channel.unary_unary(f"{FACADE}DispatchCommand")
    error = await failed(call(message.SerializeToString(), metadata=(("comby-wait", "executed"),)))
    assert dict(info_of(error).metadata) == {"key": "comby-wait"}


async def test_every_answer_has_a_request_id_and_queries_have_a_token(channel: aio.Channel) -> None:
    request_id = str(uuid4())
    placing = channel.unary_unary(f"{ORDERS}PlaceOrder")(
        place().SerializeToString(), metadata=(("comby-request-id", request_id),)
    )
    receipt = command_pb2.CommandReceipt.FromString(await placing)
    told = dict(await placing.trailing_metadata())
    assert {"comby-request-id": request_id, "comby-consistency-token": receipt.consistency_token} == told

    query = order_pb2.GetOrder(order_id=receipt.aggregate_id).SerializeToString()
    asking = channel.unary_unary(f"{ORDERS}GetOrder")(
        query, metadata=(("comby-consistency-token", receipt.consistency_token),)
    )
    assert receipt.aggregate_id == order_pb2.Order.FromString(await asking).order_id
    told = dict(await asking.trailing_metadata())
    assert UUID(str(told["comby-request-id"]))
    assert told["comby-consistency-token"]


async def test_a_command_in_another_tenant_is_not_seen(channel: aio.Channel) -> None:
    request_id = str(uuid4())
    metadata = (("comby-request-id", request_id), ("comby-tenant-id", "acme"))
    await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString(), metadata=metadata)
    raw = command_pb2.GetCommandRequest(request_id=request_id).SerializeToString()
    error = await failed(channel.unary_unary(f"{FACADE}GetCommand")(raw))
    assert info_of(error).reason == "COMMAND_NOT_FOUND"
