"""Limits: every one is a typed error, and a burst loses nothing."""

import asyncio
from collections import Counter

import grpc
from grpc import aio

from comby.server.application.limits import Limits
from comby.server.bootstrap import Running
from shop.order.v1 import order_pb2
from tests.integration.edge.calls import FACADE, ORDERS, failed, failed_stream, info_of, place
from tests.integration.edge.conftest import Serve
from tests.integration.edge.processes import serving

BURST = 5000


async def test_a_message_that_is_too_large(server: Running, channel: aio.Channel) -> None:
    size = Limits().message_bytes + 1
    error = await failed(channel.unary_unary(f"{ORDERS}PlaceOrder")(bytes(size)))
    assert (info_of(error).reason, info_of(error).metadata["limit"]) == ("LIMIT_EXCEEDED", "message_bytes")
    assert grpc.StatusCode.INVALID_ARGUMENT is error.code()
    assert (
        grpc.StatusCode.RESOURCE_EXHAUSTED
        is (await failed(channel.unary_unary(f"{ORDERS}PlaceOrder")(bytes(size * 3)))).code()
    )


async def test_pending_calls(serve: Serve) -> None:
    async with serve(limits=Limits(pending_calls=5)) as server, aio.insecure_channel(server.address) as channel:
        wait = channel.unary_unary(f"{ORDERS}PlaceOrder")
        codes = Counter(await asyncio.gather(*(_code(wait(place().SerializeToString())) for _ in range(200))))
        assert codes[grpc.StatusCode.OK] >= 5
        assert codes[grpc.StatusCode.RESOURCE_EXHAUSTED] > 0
        assert codes[grpc.StatusCode.OK] + codes[grpc.StatusCode.RESOURCE_EXHAUSTED] == 200


async def test_streams_of_one_connection(serve: Serve) -> None:
    async with (
        serve(limits=Limits(streams_per_connection=3)) as server,
        aio.insecure_channel(server.address) as channel,
    ):
        open_streams = [channel.unary_stream(f"{FACADE}SubscribeEvents")(b"") for _ in range(3)]
        for stream in open_streams:
            await stream.read()
        error = await failed_stream(channel.unary_stream(f"{FACADE}SubscribeEvents")(b""))
        assert (info_of(error).reason, info_of(error).metadata["limit"]) == ("OVERLOADED", "streams_per_connection")
        assert grpc.StatusCode.OK is await _code(channel.unary_unary(f"{ORDERS}ListOrders")(b""))
        open_streams[0].cancel()
        await asyncio.sleep(0.2)
        assert await channel.unary_stream(f"{FACADE}SubscribeEvents")(b"").read()


async def test_a_burst_of_calls_on_many_connections_without_one_cancelled() -> None:
    """Core drops calls beyond 1,000 that wait, unless it is told not to."""
    async with serving() as server:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [aio.insecure_channel(server.address, options=options) for _ in range(5)]
        query = order_pb2.ListOrders(page_size=1).SerializeToString()
        calls = [channels[n % 5].unary_unary(f"{ORDERS}ListOrders")(query) for n in range(BURST)]
        codes = Counter(await asyncio.gather(*map(_code, calls)))
        assert set(codes) <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert codes.total() == BURST
        await asyncio.gather(*(channel.close() for channel in channels))


async def _code(call: aio.UnaryUnaryCall[bytes, bytes]) -> grpc.StatusCode:
    return await call.code()
