"""Rows C2 and C10: subscriptions that begin at any moment, and very many at once."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass

import grpc

from comby.client import Comby, Stage, connect
from comby.facade.v1 import event_pb2
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import Counter as CounterState
from tests.reliability.domain.v1.trial_pb2 import Increment
from tests.reliability.event_log import read_log
from tests.reliability.streams import Stream, channel, read, subscribe

COUNTERS = 4
AT_ONCE = 10
LIVE_EVENTS = 30
"""Events that a subscription has to see after it has caught up."""
OPEN_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True)
class Followed:
    """What one subscription has got, and after which position it began. An empty counter id is all counters."""

    counter_id: str
    after: int
    positions: list[int]


async def test_c2_history_and_live_events_meet_without_a_seam(
    long: bool, serve: Serve, report: Report, seed: int
) -> None:
    """From any position, from the head, and with a filter: each event once, and told where history ends.

    Seen failing: the live part begun at the head, and not at the cursor that history has come to.
    """
    moments = 1000 if long else 80
    chance = random.Random(seed)
    async with serve() as server, connect(server.target) as comby, channel(server.target) as opened:
        trial = TrialClient(comby)
        counters = [(await trial.start_counter()).aggregate_id for _ in range(COUNTERS)]
        stop = asyncio.Event()
        writing = asyncio.create_task(_write(comby, counters, stop))
        await asyncio.sleep(0.5)
        room = asyncio.Semaphore(AT_ONCE)
        followed: list[Followed] = []

        async def one(number: int) -> None:
            async with room:
                await asyncio.sleep(chance.uniform(0, 0.05))
                head = (await comby.get_aggregate(CounterState, counters[0])).version  # about a quarter of the log's
                request = event_pb2.SubscribeEventsRequest()
                if number % 3 == 0:
                    request.from_head = True
                else:
                    request.after = chance.randrange(head * COUNTERS // 2)
                if number % 2 == 0:
                    request.filter.domains.append("Trial")
                    request.filter.aggregate_id = counters[number % COUNTERS]
                stream = subscribe(opened, request)
                followed.append(await _follow(stream, request.filter.aggregate_id))
                stream.cancel()

        async with asyncio.TaskGroup() as group:
            for number in range(moments):
                group.create_task(one(number))
        stop.set()
        await writing
        log = await read_log(comby)
        log.assert_whole()
        for was in followed:
            matching = [e.position for e in log.events if was.counter_id in ("", e.aggregate_id)]
            assert [one for one in matching if was.after < one <= was.positions[-1]] == was.positions
        assert moments == len(followed)
        seen = sum(len(was.positions) for was in followed)
        report("C2", moments=moments, written=len(log.events), seen=seen, gaps=0, doubles=0, caught_up=moments)


async def _follow(stream: Stream, counter_id: str) -> Followed:
    """Read to the end of history, of which the server must tell once, and on."""
    confirmed = (await read(stream)).confirmed
    positions: list[int] = []
    live = 0
    caught_up = False
    while not caught_up or live < LIVE_EVENTS:
        message = await read(stream)
        match message.WhichOneof("message"):
            case "events":
                positions += [event.position for event in message.events.events]
                live += caught_up * len(message.events.events)
            case "caught_up":
                assert not caught_up
                assert message.caught_up.position >= max(confirmed.head, *positions[-1:], 0)
                caught_up = True
            case "checkpoint":
                assert message.checkpoint.position >= max(confirmed.after, *positions[-1:], 0)
    return Followed(counter_id, confirmed.after, positions)


async def test_c10_very_many_streams_at_once(long: bool, serve: Serve, report: Report) -> None:
    """All are live, or are refused with RESOURCE_EXHAUSTED where one connection has too many; none is CANCELLED.

    Seen failing: the pending requests of gRPC core left at their default (some streams are CANCELLED).
    """
    wanted = OPEN_AT_ONCE if long else OPEN_AT_ONCE // 4
    per_connection = wanted // 2
    async with (
        serve("--limit", f"streams_per_connection={per_connection}") as server,
        connect(server.target) as comby,
        AsyncExitStack() as stack,
    ):
        trial = TrialClient(comby)
        counter = (await trial.start_counter()).aggregate_id
        channels = [await stack.enter_async_context(channel(server.target)) for _ in range(5)]
        places = [*(channels[number % 4] for number in range(wanted)), *[channels[4]] * wanted]
        request = event_pb2.SubscribeEventsRequest(from_head=True)
        codes: Counter[grpc.StatusCode] = Counter()
        streams = [subscribe(opened, request) for opened in places]
        opened = await asyncio.gather(*(_opens(stream, codes) for stream in streams))
        assert {grpc.StatusCode.RESOURCE_EXHAUSTED: wanted - per_connection} == dict(codes)
        live = [stream for stream, is_open in zip(streams, opened, strict=True) if is_open]
        await trial.increment(counter_id=counter)
        assert [2] * len(live) == await asyncio.gather(*(_next_position(stream) for stream in live))
        report("C10", streams=len(streams), live=len(live), RESOURCE_EXHAUSTED=wanted - per_connection, CANCELLED=0)
        for stream in live:
            stream.cancel()


async def _opens(stream: Stream, codes: Counter[grpc.StatusCode]) -> bool:
    try:
        return (await read(stream)).HasField("confirmed")
    except grpc.aio.AioRpcError as error:
        codes[error.code()] += 1
        return False


async def _next_position(stream: Stream) -> int:
    while True:
        message = await read(stream)
        if message.HasField("events"):
            return message.events.events[0].position


async def _write(comby: Comby, counters: list[str], stop: asyncio.Event) -> None:
    """Write in bursts until told to stop."""
    async with comby.pipeline(in_flight=100) as pipeline:
        while not stop.is_set():
            for counter in counters * 5:
                await pipeline.dispatch(Increment(counter_id=counter), wait=Stage.EXECUTED)
            await asyncio.sleep(0.02)
