"""Load generators: raw grpc.aio clients that cost as little as they can, so that the server is what is measured.

`python -m benchmarks.load KIND ADDRESS[,ADDRESS…]` prints one JSON object: operations, seconds, and where single operations are timed, the
median and the 99th percentile in milliseconds. With several addresses the load is spread over them.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import uvloop
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc import aio
from uuid_utils import uuid7

from bench.counter.v1 import counter_pb2
from benchmarks.subscribers import SERVICE, Subscribers, channel_to, delivery
from comby.facade.v1 import command_pb2, event_pb2

FACADE = "/comby.facade.v1.FacadeService"
Channels = Sequence[aio.Channel]


async def unary(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """Keep `in_flight` unary typed commands under way for `seconds`; each starts a new counter."""
    calls = [channel.unary_unary(f"{SERVICE}/StartCounter") for channel in channels]
    payload = counter_pb2.StartCounter(name="counter").SerializeToString()
    return await _closed_loop(lambda caller: calls[caller % len(calls)](payload), options)


async def add(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """The same on `in_flight` counters, one caller each: load, one event, save."""
    start = channels[0].unary_unary(f"{SERVICE}/StartCounter")
    payloads = []
    for caller in range(options.in_flight):
        counter_id = options.counters[caller] if options.counters else str(uuid4())
        await start(counter_pb2.StartCounter(counter_id=counter_id, name="counter").SerializeToString())
        payloads.append(counter_pb2.AddToCounter(counter_id=counter_id, amount=1).SerializeToString())
    calls = [channel.unary_unary(f"{SERVICE}/AddToCounter") for channel in channels]
    return await _closed_loop(lambda caller: calls[caller % len(calls)](payloads[caller]), options)


async def pipeline(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """Keep `in_flight` commands of DispatchCommands under way on each channel, 100 to a message, waited for until executed."""
    began = time.perf_counter()
    done = await asyncio.gather(*(_pipeline(channel, options) for channel in channels))
    return {"operations": sum(done), "seconds": time.perf_counter() - began}


async def _pipeline(channel: aio.Channel, options: argparse.Namespace) -> int:
    call = channel.stream_stream(f"{FACADE}/DispatchCommands")
    command = AnyMessage()
    command.Pack(counter_pb2.StartCounter(name="counter"))
    room = asyncio.Semaphore(max(options.in_flight // 100, 1))
    ends = time.perf_counter() + options.seconds

    async def requests() -> AsyncIterator[bytes]:
        while time.perf_counter() < ends:
            await room.acquire()
            message = command_pb2.DispatchCommandsRequest()
            for _ in range(100):
                one = message.commands.add(command=command)
                one.options.request_id = str(uuid7())
                one.options.wait = command_pb2.COMMAND_STAGE_EXECUTED
            yield message.SerializeToString()

    done = 0
    stages: set[int] = set()
    async for raw in call(requests()):
        for receipt in command_pb2.DispatchCommandsResponse.FromString(raw).receipts:
            stages.add(receipt.stage)
            done += 1
            if done % 100 == 0:
                room.release()
    assert stages == {command_pb2.COMMAND_STAGE_EXECUTED}, stages
    return done


async def fanout(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """Deliver what a pipeline writes to `subscribers` live subscribers, each on a connection of its own; the operations are deliveries."""
    async with Subscribers(options.addresses[0], options.subscribers) as subscribers:
        began = time.perf_counter()
        written = await _pipeline(channels[0], options)
        await subscribers.received(written)
        return {"operations": written * options.subscribers, "seconds": time.perf_counter() - began}


async def replay(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """Read the log to its end."""
    call = channels[0].unary_stream(f"{FACADE}/SubscribeEvents")
    began = time.perf_counter()
    count = 0
    async for raw in call(event_pb2.SubscribeEventsRequest().SerializeToString()):
        answer = event_pb2.SubscribeEventsResponse.FromString(raw)
        count += len(answer.events.events)
        if answer.HasField("caught_up"):
            break
    return {"operations": count, "seconds": time.perf_counter() - began}


async def delivered(channels: Channels, options: argparse.Namespace) -> dict[str, Any]:
    """Send `rate` commands a second, evenly, and time each until its event is at a live subscriber."""
    return await delivery(options.addresses[0], channels[0], options.rate, options.seconds)


async def _closed_loop(call: Callable[[int], Awaitable[bytes]], options: argparse.Namespace) -> dict[str, Any]:
    latencies: list[float] = []
    ends = time.perf_counter() + options.seconds

    async def caller(number: int) -> None:
        while (began := time.perf_counter()) < ends:
            await call(number)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller(number) for number in range(options.in_flight)))
    took = time.perf_counter() - began
    latencies.sort()
    return {
        "operations": len(latencies),
        "seconds": took,
        "p50": latencies[len(latencies) // 2] * 1000,
        "p99": latencies[len(latencies) * 99 // 100] * 1000,
    }


KINDS = {
    "unary": unary,
    "add": add,
    "pipeline": pipeline,
    "replay": replay,
    "fanout": fanout,
    "delivered": delivered,
}


async def main() -> None:
    """Run the generator that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("addresses", type=lambda text: text.split(","))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--subscribers", type=int, default=1)
    parser.add_argument("--counters", type=lambda text: text.split(","), default=[])
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(channel_to(address)) for address in options.addresses]
        for channel in channels:
            await channel.channel_ready()
        result = await KINDS[options.kind](channels, options)
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
