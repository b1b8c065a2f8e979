"""The table and its binding, over real sockets."""

import asyncio
from dataclasses import replace
from uuid import UUID

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc import aio

from comby.facade.v1 import command_pb2, event_pb2, query_pb2
from comby.server.application.errors import CommandParked, RequestIdReused, VersionMismatch
from comby.server.application.requests import CommandRequest, Stage
from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.errors import StoreUnavailable
from comby.server.rpc.wire import length_delimited
from shop.order.v1 import order_pb2
from tests.unit.rpc.errors import detail, info, status, trailing
from tests.unit.rpc.fake_facade import ORDER_ID, SECRET, FakeFacade

ID = "0190a6b0-0000-7000-8000-000000000001"
PLACE = "/shop.order.v1.OrderService/PlaceOrder"
FACADE = "/comby.facade.v1.FacadeService/"


async def _failed(call: aio.UnaryUnaryCall[bytes, bytes]) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        await call
    return caught.value


async def _failed_stream(call: aio.UnaryStreamCall[bytes, bytes]) -> aio.AioRpcError:
    with pytest.raises(aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return caught.value


async def test_a_typed_command(channel: aio.Channel, facade: FakeFacade) -> None:
    call = channel.unary_unary(PLACE)(
        b"payload", metadata=(("comby-request-id", ID), ("comby-tenant-id", "acme")), timeout=4
    )
    receipt = command_pb2.CommandReceipt.FromString(await call)
    assert (
        receipt.request_id,
        receipt.stage,
        receipt.aggregate_id,
    ) == (ID, command_pb2.COMMAND_STAGE_EXECUTED, ORDER_ID)
    assert tuple(await call.trailing_metadata()) == (("comby-request-id", ID), ("comby-consistency-token", "t1"))
    (request,) = facade.requests
    assert isinstance(request, CommandRequest)
    assert (
        request.type,
        request.payload,
        request.context.tenant_id,
        request.wait,
    ) == ("shop.order.v1.PlaceOrder", b"payload", "acme", Stage.EXECUTED)
    assert request.wait_timeout == pytest.approx(3.8, abs=0.15)


async def test_a_query_gets_a_request_id_and_a_token(channel: aio.Channel) -> None:
    call = channel.unary_unary("/shop.order.v1.OrderService/GetOrder")(b"")
    await call
    told = dict(await call.trailing_metadata())
    assert told["comby-consistency-token"] == "t2"
    assert UUID(str(told["comby-request-id"]))


async def test_a_rejection_ends_a_call_that_waited_and_not_one_that_did_not(
    channel: aio.Channel, facade: FakeFacade
) -> None:
    rejected = VersionMismatch(AggregateKey("default", "Order", ORDER_ID), expected=Version(1), actual=Version(2))
    facade.receipt = replace(facade.receipt, stage=Stage.REJECTED, error=rejected)
    error = await _failed(channel.unary_unary(PLACE)(b"", metadata=(("comby-request-id", ID),)))
    told = status(error)
    packed = detail(told, command_pb2.CommandReceipt)
    assert isinstance(packed, command_pb2.CommandReceipt)
    assert grpc.StatusCode.ABORTED is error.code()
    assert (packed.request_id, packed.stage) == (ID, command_pb2.COMMAND_STAGE_REJECTED)

    receipt = command_pb2.CommandReceipt.FromString(
        await channel.unary_unary(PLACE)(b"", metadata=(("comby-wait", "accepted"),))
    )
    assert (told.code, info(told)) == (receipt.error.code, info(receipt.error))


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (PLACE, "unary"),
        ("/shop.order.v1.OrderService/GetOrder", "unary"),
        ("/shop.order.v1.OrderService/WatchOrder", "stream"),
        (f"{FACADE}SubscribeEvents", "stream"),
        (f"{FACADE}DispatchCommands", "bidi"),
    ],
)
async def test_no_text_of_an_exception_leaves(
    channel: aio.Channel, facade: FakeFacade, path: str, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    facade.error = RuntimeError(SECRET)
    if kind == "bidi":
        one = command_pb2.DispatchCommandRequest(options=command_pb2.CommandOptions(request_id=ID))
        one.command.Pack(order_pb2.PlaceOrder())
        answers = channel.stream_stream(path)(
            iter([command_pb2.DispatchCommandsRequest(commands=[one]).SerializeToString()])
        )
        (receipt,) = command_pb2.DispatchCommandsResponse.FromString(await answers.read()).receipts
        assert (info(receipt.error).reason, receipt.stage) == ("INTERNAL", command_pb2.COMMAND_STAGE_UNSPECIFIED)
        told = receipt.error
    else:
        error = await (
            _failed(channel.unary_unary(path)(b""))
            if kind == "unary"
            else _failed_stream(channel.unary_stream(path)(b""))
        )
        assert grpc.StatusCode.INTERNAL is error.code()
        assert SECRET not in f"{error.details()}{error.debug_error_string()}{error.trailing_metadata()}"
        told = status(error)
    assert len(info(told).metadata["incident"]) == 32
    captured = capfd.readouterr()
    assert "hunter2" not in captured.out + captured.err


async def test_a_cancellation_that_leaked_is_an_incident(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.error = asyncio.CancelledError()
    error = await _failed(channel.unary_unary(PLACE)(b"", timeout=2))
    assert info(status(error)).reason == "INTERNAL"


async def test_a_query_that_is_too_slow(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.delay = 5
    error = await _failed(channel.unary_unary("/shop.order.v1.OrderService/GetOrder")(b"", timeout=0.5))
    assert info(status(error)).reason == "DEADLINE_EXCEEDED"


async def test_a_store_that_is_away(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.error = StoreUnavailable()
    error = await _failed(channel.unary_unary(PLACE)(b""))
    assert (error.code(), info(status(error)).reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")


@pytest.mark.parametrize("path", ["/shop.order.v1.OrderService/Nothing", "/a/b", "/", "/ä"])
async def test_an_unknown_method(channel: aio.Channel, path: str) -> None:
    errors = [
        await _failed(channel.unary_unary(path)(b"x")),
        await _failed_stream(channel.unary_stream(path)(b"x")),
        await _failed_stream(channel.stream_stream(path)(iter([b"x", b"y"]))),
    ]
    for error in errors:
        assert grpc.StatusCode.UNIMPLEMENTED is error.code()
        assert info(status(error)).reason == "UNKNOWN_METHOD"
        assert UUID(str(trailing(error)["comby-request-id"]))


async def test_metadata_errors_on_every_kind(channel: aio.Channel) -> None:
    wrong = (("comby-nonsense", "value-never-told"),)
    errors = [
        await _failed(channel.unary_unary(PLACE)(b"", metadata=wrong)),
        await _failed_stream(channel.unary_stream(f"{FACADE}ReadEvents")(b"", metadata=wrong)),
        await _failed_stream(channel.stream_stream(f"{FACADE}DispatchCommands")(iter(()), metadata=wrong)),
    ]
    for error in errors:
        told = info(status(error))
        assert (told.reason, dict(told.metadata)) == ("INVALID_METADATA", {"key": "comby-nonsense"})
        assert "value-never-told" not in str(error)


async def test_options_beside_metadata(channel: aio.Channel) -> None:
    message = command_pb2.DispatchCommandRequest(options=command_pb2.CommandOptions(expected_version=1))
    message.command.Pack(order_pb2.PlaceOrder())
    call = channel.unary_unary(f"{FACADE}DispatchCommand")
    error = await _failed(call(message.SerializeToString(), metadata=(("comby-expected-version", "1"),)))
    assert info(status(error)).reason == "INVALID_METADATA"


async def test_a_token_twice(channel: aio.Channel) -> None:
    message = query_pb2.DispatchQueryRequest(consistency_token="a")
    message.query.Pack(order_pb2.GetOrder())
    call = channel.unary_unary(f"{FACADE}DispatchQuery")
    error = await _failed(call(message.SerializeToString(), metadata=(("comby-consistency-token", "b"),)))
    assert dict(info(status(error)).metadata) == {"key": "comby-consistency-token"}


async def test_a_message_that_is_none(channel: aio.Channel) -> None:
    error = await _failed(channel.unary_unary(f"{FACADE}GetCommand")(b"\xff\xff"))
    assert (error.code(), info(status(error)).reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_MESSAGE")


async def test_a_message_that_breaks_a_rule(channel: aio.Channel) -> None:
    raw = command_pb2.GetCommandRequest(request_id="7").SerializeToString()
    error = await _failed(channel.unary_unary(f"{FACADE}GetCommand")(raw))
    told = detail(status(error), error_details_pb2.BadRequest)
    assert isinstance(told, error_details_pb2.BadRequest)
    assert [violation.field for violation in told.field_violations] == ["request_id"]


async def test_a_message_that_is_too_large(channel: aio.Channel, facade: FakeFacade) -> None:
    size = facade.limits.message_bytes + 1
    error = await _failed(channel.unary_unary(PLACE)(bytes(size)))
    told = info(status(error))
    expected = {"limit": "message_bytes", "allowed": str(size - 1), "actual": str(size)}
    assert (grpc.StatusCode.INVALID_ARGUMENT, expected) == (error.code(), dict(told.metadata))
    far = await _failed(channel.unary_unary(PLACE)(bytes(3 * size)))
    assert grpc.StatusCode.RESOURCE_EXHAUSTED is far.code()


async def test_an_answer_that_is_too_large(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.answer.customer_email = "x" * facade.limits.message_bytes
    error = await _failed(channel.unary_unary("/shop.order.v1.OrderService/GetOrder")(b""))
    assert info(status(error)).metadata["limit"] == "message_bytes"
    error = await _failed_stream(channel.unary_stream("/shop.order.v1.OrderService/WatchOrder")(b""))
    assert info(status(error)).metadata["limit"] == "message_bytes"


async def test_a_time_that_is_none(channel: aio.Channel) -> None:
    raw = event_pb2.SubscribeEventsRequest()
    raw.from_time.seconds = 2**62
    error = await _failed_stream(channel.unary_stream(f"{FACADE}SubscribeEvents")(raw.SerializeToString()))
    assert info(status(error)).reason == "INVALID_MESSAGE"


async def test_a_reused_request_id(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.error = RequestIdReused(ID)
    assert grpc.StatusCode.ALREADY_EXISTS is (await _failed(channel.unary_unary(PLACE)(b""))).code()


async def test_a_parked_command_is_internal_with_its_incident(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.receipt = replace(facade.receipt, stage=Stage.PARKED, error=CommandParked(incident="i1", attempts=5))
    error = await _failed(channel.unary_unary(PLACE)(b""))
    assert (error.code(), info(status(error)).metadata["incident"]) == (grpc.StatusCode.INTERNAL, "i1")


@pytest.mark.parametrize("size", [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152])
def test_hand_made_encoding(size: int) -> None:
    body = b"\x0a" + b"x" * 0
    events = event_pb2.SubscribeEventsResponse.Events()
    events.ParseFromString(body + b"\x00" if size else b"")
    raw = length_delimited(2, bytes(size))
    header = raw[: len(raw) - size]
    assert header[:1] == b"\x12"
    assert size == sum((byte & 0x7F) << 7 * place for place, byte in enumerate(header[1:]))
