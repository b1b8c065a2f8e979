"""Load generators: raw grpc.aio clients that cost as little as they can, so that the server is what is measured.

Each prints one JSON object: operations, seconds, and for unary calls the median and the 99th percentile in milliseconds.
"""

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import uvloop
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc import aio

from bench.counter.v1 import counter_pb2
from comby.facade.v1 import command_pb2, event_pb2

SERVICE = "/bench.counter.v1.CounterService"
FACADE = "/comby.facade.v1.FacadeService"


async def unary(channel: aio.Channel, options: argparse.Namespace) -> dict[str, Any]:
    """Keep `in_flight` unary typed commands under way for `seconds`; each starts a new counter."""
    call = channel.unary_unary(f"{SERVICE}/StartCounter")
    payload = counter_pb2.StartCounter(name="counter").SerializeToString()
    return await _closed_loop(lambda _: call(payload), options)


async def add(channel: aio.Channel, options: argparse.Namespace) -> dict[str, Any]:
    """The same on `in_flight` counters, one caller each: load, one event, save."""
    start = channel.unary_unary(f"{SERVICE}/StartCounter")
    payloads = []
    for _ in range(options.in_flight):
        counter_id = str(uuid4())
        await start(counter_pb2.StartCounter(counter_id=counter_id, name="counter").SerializeToString())
        payloads.append(counter_pb2.AddToCounter(counter_id=counter_id, amount=1).SerializeToString())
    call = channel.unary_unary(f"{SERVICE}/AddToCounter")
    return await _closed_loop(lambda caller: call(payloads[caller]), options)


async def pipeline(channel: aio.Channel, options: argparse.Namespace) -> dict[str, Any]:
    """Keep `in_flight` commands of one DispatchCommands stream under way, 100 to a message, waited for until executed."""
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
                one.options.request_id = str(uuid4())
                one.options.wait = command_pb2.COMMAND_STAGE_EXECUTED
            yield message.SerializeToString()

    done = 0
    began = time.perf_counter()
    stages: set[int] = set()
    async for raw in call(requests()):
        for receipt in command_pb2.DispatchCommandsResponse.FromString(raw).receipts:
            stages.add(receipt.stage)
            done += 1
            if done % 100 == 0:
                room.release()
    assert stages == {command_pb2.COMMAND_STAGE_EXECUTED}, stages
    return {"operations": done, "seconds": time.perf_counter() - began}


async def replay(channel: aio.Channel, options: argparse.Namespace) -> dict[str, Any]:
    """Read the log to its end."""
    call = channel.unary_stream(f"{FACADE}/SubscribeEvents")
    began = time.perf_counter()
    count = 0
    async for raw in call(event_pb2.SubscribeEventsRequest().SerializeToString()):
        answer = event_pb2.SubscribeEventsResponse.FromString(raw)
        count += len(answer.events.events)
        if answer.HasField("caught_up"):
            break
    return {"operations": count, "seconds": time.perf_counter() - began}


async def _closed_loop(call: Any, options: argparse.Namespace) -> dict[str, Any]:
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


async def main() -> None:
    """Run the generator that the command line names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["unary", "add", "pipeline", "replay"])
    parser.add_argument("address")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--in-flight", type=int, default=64)
    options = parser.parse_args()
    async with aio.insecure_channel(options.address, [("grpc.max_receive_message_length", 8 << 20)]) as channel:
        await channel.channel_ready()
        result = await {"unary": unary, "add": add, "pipeline": pipeline, "replay": replay}[options.kind](
            channel, options
        )
    print(json.dumps(result))


if __name__ == "__main__":
    uvloop.run(main())
