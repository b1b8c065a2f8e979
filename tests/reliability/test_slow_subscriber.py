"""Row C3: a subscriber that takes 10 events a second, beside many fast ones."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from comby.client import Comby, Stage, connect
from comby.facade.v1 import event_pb2
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import Increment
from tests.reliability.streams import Stream, channel, read, subscribe

FAST = 19
SLOW_EVENTS_PER_SECOND = 10
COUNTERS = 16
BALLAST = bytes(500)
MEMORY_MB = 32.0
STANDSTILL_SECONDS = 30.0
NOISE = 3.0
"""How much slower the fast ones may be in the long form: the bar is 1.5, on a machine that does nothing else."""


class Fast:
    """A subscriber that keeps up, and notes how late events are."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.position = 0
        self.late: list[float] = []

    async def run(self) -> None:
        """Read for ever."""
        while True:
            message = await read(self._stream)
            if message.HasField("events"):
                self.position = _in_order(self.position, message.events.events)
                self.late.append(time.time() - message.events.events[-1].recorded_at.ToNanoseconds() / 1e9)


async def test_c3_a_slow_subscriber_loses_nothing_and_slows_nobody(
    long: bool, serve: Serve, report: Report, seed: int
) -> None:
    """It is not dropped, gets every event in the end on the same stream, and costs the server little memory.

    Seen failing: a stream ended once the tail in memory has let go of its next event.
    """
    half = 50_000 if long else 6_000
    limits = ("--limit", "tail_events=10000" if long else "tail_events=1000")
    async with serve(*limits) as server, connect(server.target) as comby, AsyncExitStack() as stack:
        trial = TrialClient(comby)
        counters = [(await trial.start_counter()).aggregate_id for _ in range(COUNTERS)]
        channels = [await stack.enter_async_context(channel(server.target)) for _ in range(5)]
        request = event_pb2.SubscribeEventsRequest()
        fast = [Fast(subscribe(channels[number % 4], request)) for number in range(FAST)]
        running = [asyncio.create_task(one.run()) for one in fast]

        await _write(comby, counters, half)
        await _all_have(fast, COUNTERS + half)
        alone = [late for one in fast for late in one.late]
        memory = server.memory()
        for one in fast:
            one.late.clear()

        slow = subscribe(channels[4], request)
        taking = asyncio.create_task(_take_slowly(slow))
        await _write(comby, counters, half)
        await _all_have(fast, COUNTERS + 2 * half)
        beside = [late for one in fast for late in one.late]
        grown = server.memory() - memory
        taking.cancel()
        behind = await taking
        assert behind < COUNTERS + 2 * half
        position = behind
        while position < COUNTERS + 2 * half:
            message = await read(slow)
            if message.HasField("events"):
                position = _in_order(position, message.events.events)
        for task in running:
            assert not task.done()
            task.cancel()
        assert grown < MEMORY_MB
        ratio = _p99(beside) / _p99(alone)
        if long:
            assert ratio <= NOISE
        report(
            "C3",
            events=2 * half,
            fast=FAST,
            slow_had=behind,
            slow_got=position,
            lost=0,
            dropped=0,
            memory_grown_mb=grown,
            p99_ratio=ratio,
            p99_ms_alone=_p99(alone) * 1000,
            p99_ms_beside=_p99(beside) * 1000,
        )


async def _take_slowly(slow: Stream) -> int:
    """Read until cancelled; return the last position."""
    position = 0
    try:
        while True:
            message = await read(slow)
            if message.HasField("events"):
                position = _in_order(position, message.events.events)
                await asyncio.sleep(len(message.events.events) / SLOW_EVENTS_PER_SECOND)
    except asyncio.CancelledError:
        return position


def _in_order(position: int, events: Sequence[event_pb2.Event]) -> int:
    """Check that these are the events after a position, each once; return the last one's."""
    assert list(range(position + 1, position + 1 + len(events))) == [event.position for event in events]
    return position + len(events)


async def _write(comby: Comby, counters: list[str], count: int) -> None:
    async with comby.pipeline(in_flight=100) as pipeline:
        for number in range(count):
            await pipeline.dispatch(
                Increment(counter_id=counters[number % COUNTERS], ballast=BALLAST), wait=Stage.EXECUTED
            )


async def _all_have(fast: list[Fast], position: int) -> None:
    while (before := sum(one.position for one in fast)) < position * len(fast):
        for _ in range(100):
            await asyncio.sleep(STANDSTILL_SECONDS / 100)
            if sum(one.position for one in fast) > before:
                break
        else:
            raise TimeoutError("the fast subscribers stand still")


def _p99(late: list[float]) -> float:
    return statistics.quantiles(late, n=100)[98]
