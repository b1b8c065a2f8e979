"""Live subscribers for the load generators, each on a connection of its own: they parse what they receive, as a client has to."""

import asyncio
import time
from typing import Any, Self

from google.protobuf.duration_pb2 import Duration
from grpc import aio

from bench.counter.v1 import counter_pb2
from comby.facade.v1 import event_pb2

SERVICE = "/bench.counter.v1.CounterService"
SUBSCRIBE = "/comby.facade.v1.FacadeService/SubscribeEvents"
SETTLE_SECONDS = 10.0
"""For the last events to arrive."""


def channel_to(address: str) -> aio.Channel:
    """Return a connection that is shared with nobody."""
    options = [("grpc.max_receive_message_length", 8 << 20), ("grpc.use_local_subchannel_pool", 1)]
    return aio.insecure_channel(address, options)


class Subscribers:
    """Subscribers from the head on. Entered when all of them are live."""

    def __init__(self, address: str, count: int) -> None:
        self._channels = [channel_to(address) for _ in range(count)]
        self._counts = [0] * count
        self._live = 0
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._follow(place)) for place in range(len(self._channels))]
        while self._live < len(self._channels):
            await self._next_change()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for channel in self._channels:
            await channel.close()

    async def received(self, count: int) -> None:
        """Wait until each has received so many events."""
        while min(self._counts) < count:
            await self._next_change()
        assert max(self._counts) == count, "an event was received that was not written here"

    async def _next_change(self) -> None:
        self._changed.clear()
        async with asyncio.timeout(SETTLE_SECONDS):
            await self._changed.wait()

    async def _follow(self, place: int) -> None:
        request = event_pb2.SubscribeEventsRequest(from_head=True, heartbeat=Duration(seconds=60))
        async for raw in self._channels[place].unary_stream(SUBSCRIBE)(request.SerializeToString()):
            answer = event_pb2.SubscribeEventsResponse.FromString(raw)
            if answer.HasField("events"):
                self._counts[place] += len(answer.events.events)
            elif answer.HasField("caught_up"):
                self._live += 1
            self._changed.set()


async def delivery(address: str, channel: aio.Channel, rate: float, seconds: float) -> dict[str, Any]:
    """Send commands at a rate, and time each from when it was due until its event is here: what is late counts as late."""
    due: list[float] = []
    latencies: list[float] = []
    live = asyncio.Event()
    complete = asyncio.Event()

    async def follow() -> None:
        request = event_pb2.SubscribeEventsRequest(from_head=True, heartbeat=Duration(seconds=60))
        async with channel_to(address) as other:
            async for raw in other.unary_stream(SUBSCRIBE)(request.SerializeToString()):
                now = time.perf_counter()
                answer = event_pb2.SubscribeEventsResponse.FromString(raw)
                for event in answer.events.events:
                    number = int(counter_pb2.CounterStarted.FromString(event.plain.value).name)
                    latencies.append(now - due[number])
                if answer.HasField("caught_up"):
                    live.set()
                if len(latencies) == total:
                    complete.set()

    total = int(rate * seconds)
    following = asyncio.create_task(follow())
    await live.wait()
    call = channel.unary_unary(f"{SERVICE}/StartCounter")
    began = time.perf_counter()
    due.extend(began + number / rate for number in range(total))
    calls = []
    for number in range(total):
        if (early := due[number] - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        calls.append(asyncio.ensure_future(call(counter_pb2.StartCounter(name=str(number)).SerializeToString())))
    await asyncio.gather(*calls)
    async with asyncio.timeout(SETTLE_SECONDS):
        await complete.wait()
    following.cancel()
    latencies.sort()
    return {
        "operations": total,
        "seconds": time.perf_counter() - began,
        "p50": latencies[total // 2] * 1000,
        "p99": latencies[total * 99 // 100] * 1000,
    }
