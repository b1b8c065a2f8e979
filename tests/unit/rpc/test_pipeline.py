"""The pipeline: order, bounds, and a receipt for everything."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
import pytest
from grpc import aio

from comby.facade.v1 import command_pb2
from comby.server.application.errors import InvalidMessage, Overloaded
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest
from comby.server.application.validation import Validation
from comby.server.domain.context import RequestContext
from comby.server.rpc.decoding import command_request, plain_request
from comby.server.rpc.pipeline import Pipeline
from shop.order.v1 import order_pb2
from tests.unit.rpc.errors import info, status
from tests.unit.rpc.fake_facade import FakeFacade

PATH = "/comby.facade.v1.FacadeService/DispatchCommands"


def _message(*request_ids: str) -> bytes:
    message = command_pb2.DispatchCommandsRequest()
    for request_id in request_ids:
        one = message.commands.add(options=command_pb2.CommandOptions(request_id=request_id))
        one.command.Pack(order_pb2.PlaceOrder())
    return message.SerializeToString()


async def _receipts(call: aio.StreamStreamCall[bytes, bytes]) -> list[command_pb2.CommandReceipt]:
    return [receipt async for raw in call for receipt in command_pb2.DispatchCommandsResponse.FromString(raw).receipts]


async def test_every_command_is_answered_in_order_and_packed(channel: aio.Channel, facade: FakeFacade) -> None:
    ids = [str(uuid4()) for _ in range(5000)]
    messages = [_message(*ids[start : start + 500]) for start in range(0, 5000, 500)]
    call = channel.stream_stream(PATH)(iter(messages))
    answers = [command_pb2.DispatchCommandsResponse.FromString(raw) async for raw in call]
    assert ids == [request.request_id for request in facade.requests if isinstance(request, CommandRequest)]
    assert sorted(ids) == sorted(receipt.request_id for answer in answers for receipt in answer.receipts)
    assert len(answers) <= 100


async def test_a_refusal_is_a_receipt_with_an_error_and_no_stage(channel: aio.Channel, facade: FakeFacade) -> None:
    facade.error = Overloaded("open_commands", 7)
    request_id = str(uuid4())
    (receipt,) = await _receipts(channel.stream_stream(PATH)(iter([_message(request_id)])))
    assert (request_id, 0, "OVERLOADED") == (receipt.request_id, receipt.stage, info(receipt.error).reason)


async def test_a_malformed_request_id_is_answered_under_it(channel: aio.Channel) -> None:
    good = str(uuid4())
    receipts = await _receipts(channel.stream_stream(PATH)(iter([_message("7", good)])))
    told = {receipt.request_id: receipt for receipt in receipts}
    assert info(told["7"].error).reason == "INVALID_MESSAGE"
    assert not told[good].HasField("error")


@pytest.mark.parametrize("last", [_message(""), b"\xff", b"", _message(*["7"] * 1001)])
async def test_what_can_not_be_matched_ends_the_stream_after_the_receipts_before_it(
    channel: aio.Channel, facade: FakeFacade, last: bytes
) -> None:
    facade.delay = 0.05
    request_id = str(uuid4())
    call = channel.stream_stream(PATH)(iter([_message(request_id), last]))
    receipts = command_pb2.DispatchCommandsResponse.FromString(await call.read()).receipts
    assert [request_id] == [receipt.request_id for receipt in receipts]
    with pytest.raises(aio.AioRpcError) as caught:
        await call.read()
    assert (
        caught.value.code(),
        info(status(caught.value)).reason,
    ) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_MESSAGE")


async def test_the_stream_is_not_read_beyond_what_may_be_in_flight() -> None:
    facade = FakeFacade(Limits(pipeline_in_flight=10))
    facade.delay = 0.01
    read = 0

    async def messages() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(100):
            read += 1
            yield _message(str(uuid4()))

    pipeline = Pipeline(facade, RequestContext())
    reader = asyncio.create_task(pipeline.read(messages()))
    await asyncio.sleep(0.1)
    assert read == 11
    while await pipeline.receipts.message():
        assert len(facade.requests) <= read
    await reader
    assert len(facade.requests) == 100


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wait": command_pb2.COMMAND_STAGE_PROJECTED},
        {"wait": command_pb2.COMMAND_STAGE_REJECTED},
        {"wait": 77},
        {"wait": -1},
        {"correlation_id": "ä" * 128},
        {"correlation_id": "a" * 129},
        {"causation_id": "a" * 128},
        {"causation_id": "a" * 129},
        {"request_id": "7"},
        {"request_id": str(uuid4()).upper()},
        {"expected_version": 2**64 - 1},
    ],
)
def test_a_request_is_plain_only_where_it_is_good_and_the_same(options: dict[str, str | int]) -> None:
    chosen = {"request_id": str(uuid4()), **options}
    message = command_pb2.DispatchCommandRequest(options=command_pb2.CommandOptions(**chosen))
    message.command.Pack(order_pb2.PlaceOrder(order_id=str(uuid4())))
    context = RequestContext(tenant_id="acme", actor_id="ada")
    plain = plain_request(message, context)
    try:
        Validation().check(message)
    except InvalidMessage:
        assert plain is None
    else:
        simple = chosen.keys() <= {"request_id", "wait"}
        assert (plain is not None) == simple
        if plain is not None:
            request_id = message.options.request_id
            assert command_request(message, context, request_id, wait_timeout=None, retried=False) == plain


def test_a_request_with_anything_unknown_is_not_plain() -> None:
    message = command_pb2.DispatchCommandRequest(options=command_pb2.CommandOptions(request_id=str(uuid4())))
    message.command.Pack(order_pb2.PlaceOrder())
    message.options.MergeFromString(b"\xf8\x07\x01")  # field 127
    assert plain_request(message, RequestContext()) is None


def test_a_request_without_a_command_is_not_plain() -> None:
    message = command_pb2.DispatchCommandRequest(options=command_pb2.CommandOptions(request_id=str(uuid4())))
    assert plain_request(message, RequestContext()) is None
