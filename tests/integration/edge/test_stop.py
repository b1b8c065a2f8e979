"""The graceful stop: health first, goodbyes, running commands finish, and all of it in ten seconds."""

import asyncio
import signal
import time
from uuid import uuid4

import grpc
import pytest
from grpc import aio

from comby.facade.v1 import command_pb2, event_pb2
from shop.order.v1 import order_pb2
from tests.integration.edge.calls import FACADE, ORDERS, place
from tests.integration.edge.processes import serving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_streams_are_told_and_nothing_that_was_sent_is_lost(number: signal.Signals) -> None:
    async with serving() as server, aio.insecure_channel(server.address) as channel:
        receipt = command_pb2.CommandReceipt.FromString(
            await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString())
        )
        subscription = channel.unary_stream(f"{FACADE}SubscribeEvents")(b"")
        assert event_pb2.SubscribeEventsResponse.FromString(await subscription.read()).HasField("confirmed")
        watch = channel.unary_stream(f"{ORDERS}WatchOrder")(
            order_pb2.WatchOrder(order_id=receipt.aggregate_id).SerializeToString()
        )
        assert await watch.read()
        health = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        await health.read()
        pipeline = channel.stream_stream(f"{FACADE}DispatchCommands")()
        ids = [str(uuid4()) for _ in range(500)]
        await pipeline.write(_commands(ids))

        first = await pipeline.read()
        began = time.monotonic()
        server.process.send_signal(number)
        ended, _ = await asyncio.gather(_read_all(subscription), _read_all(watch))
        assert event_pb2.SubscribeEventsResponse.FromString(ended[-1]).goodbye.reason == "SHUTTING_DOWN"
        assert grpc.StatusCode.OK is await subscription.code()
        assert grpc.StatusCode.UNAVAILABLE is await watch.code()
        answers = [first, *await _read_all(pipeline)]
        told = [receipt for raw in answers for receipt in command_pb2.DispatchCommandsResponse.FromString(raw).receipts]
        assert sorted(ids) == sorted(receipt.request_id for receipt in told)
        assert await asyncio.wait_for(server.process.wait(), 10) == 0
        assert time.monotonic() - began < 10


async def test_a_second_signal_ends_it_at_once() -> None:
    async with serving("--shutdown-grace", "8") as server, aio.insecure_channel(server.address) as channel:
        assert await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString())
        server.process.send_signal(signal.SIGTERM)
        server.process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(server.process.wait(), 2) in (0, 130)


def _commands(request_ids: list[str]) -> bytes:
    message = command_pb2.DispatchCommandsRequest()
    for request_id in request_ids:
        one = message.commands.add(
            options=command_pb2.CommandOptions(request_id=request_id, wait=command_pb2.COMMAND_STAGE_EXECUTED)
        )
        one.command.Pack(place())
    return message.SerializeToString()


async def _read_all(call: aio.UnaryStreamCall[bytes, bytes] | aio.StreamStreamCall[bytes, bytes]) -> list[bytes]:
    answers: list[bytes] = []
    try:
        while (answer := await call.read()) is not aio.EOF:
            answers.append(answer)
    except aio.AioRpcError:
        pass
    return answers
