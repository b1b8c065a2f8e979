"""Row B7: whoever waits for a command is told its outcome: before it comes, while it runs, later, and after a restart."""

import asyncio
import random
import statistics
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from uuid import uuid4

import pytest

from comby.client import Comby, NotFound, RetryPolicy, Stage, connect
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_log

CONNECTIONS = 4
WAITERS_PER_COMMAND = 10
DAWDLE_MS = 400
LONG_MS = 5_000
"""Longer than a call takes on a busy machine."""
TOLD_SECONDS = 8.0
"""A wait that is over after the server's longest, 10 s, finds the outcome in the store: that is not to be told of it."""


@dataclass(slots=True)
class Notices:
    """When who was told."""

    told: dict[str, list[float]] = field(default_factory=dict)
    right: int = 0


async def test_b7_everybody_is_told_the_right_outcome(long: bool, serve: Serve, report: Report, seed: int) -> None:
    """A quarter of the waiters come before the command, while it runs, after it has ended, and before a restart.

    Seen failing: a wait that looks into the store and does not listen, and one that listens and does not look.
    """
    quarter = 500 if long else 50
    chance = random.Random(seed)
    flags = ("--limit", "pending_calls=4000")
    async with serve(*flags) as server, AsyncExitStack() as stack:
        retry = RetryPolicy(attempts=200, initial=0.05, maximum=0.3)
        combies = [
            await stack.enter_async_context(connect(server.target, retry=retry, timeout=60)) for _ in range(CONNECTIONS)
        ]
        trial = TrialClient(combies[0])
        counters = [(await trial.start_counter()).aggregate_id for _ in range(quarter // WAITERS_PER_COMMAND)]
        notices = Notices()

        before = [str(uuid4()) for _ in counters]
        waits = _waits(combies, before, notices)
        await asyncio.sleep(0.3)
        await asyncio.gather(
            *(_dawdle(trial, *one, chance.randrange(50)) for one in zip(counters, before, strict=True))
        )
        await asyncio.gather(*waits)

        during = [str(uuid4()) for _ in counters]
        await asyncio.gather(*(_dawdle(trial, *one, DAWDLE_MS) for one in zip(counters, during, strict=True)))
        await asyncio.gather(*_waits(combies, during, notices))

        began = time.time()
        await asyncio.gather(*_waits(combies, chance.sample(before + during, len(counters)), Notices()))
        assert time.time() - began < TOLD_SECONDS

        across = [str(uuid4()) for _ in counters]
        await asyncio.gather(*(_dawdle(trial, *one, DAWDLE_MS) for one in zip(counters, across, strict=True)))
        waits = _waits(combies, across, Notices())
        await asyncio.sleep(0.1)
        await server.kill()
        await server.start()
        await asyncio.gather(*waits)

        log = await read_log(combies[0])
        log.assert_one_effect_each([*before, *during, *across])
        recorded = {event.request_id: event.recorded_at.timestamp() for event in log.events}
        late = [moment - recorded[one] for one, moments in notices.told.items() for moment in moments]
        assert max(late) < TOLD_SECONDS
        median = statistics.median(late) * 1000
        report("B7", waiters=4 * quarter, right=4 * quarter, notices=len(late), median_notice_ms=median)


async def test_b7_a_wait_that_is_over_tells_the_stage_reached(long: bool, serve: Serve, report: Report) -> None:
    """It is no error, and the command goes on; of a command that nobody knows it is NOT_FOUND."""
    rounds = 50 if long else 5
    async with serve() as server, connect(server.target) as comby:
        trial = TrialClient(comby)

        async def one() -> None:
            counter = (await trial.start_counter()).aggregate_id
            receipt = await trial.dawdle(counter_id=counter, milliseconds=LONG_MS, wait_timeout=0.05)
            assert Stage.ACCEPTED is receipt.stage
            assert Stage.ACCEPTED is (await receipt.wait(timeout=0.05)).stage
            assert Stage.EXECUTED is (await receipt.wait(timeout=60)).stage
            with pytest.raises(NotFound):
                await comby.wait(str(uuid4()), timeout=0.05)

        await asyncio.gather(*(one() for _ in range(rounds)))
        report("B7 time-outs", rounds=rounds, accepted=rounds, executed_later=rounds)


async def _dawdle(trial: TrialClient, counter: str, request_id: str, milliseconds: int) -> None:
    await trial.dawdle(counter_id=counter, milliseconds=milliseconds, request_id=request_id, wait=Stage.ACCEPTED)


def _waits(combies: list[Comby], request_ids: list[str], notices: Notices) -> list["asyncio.Task[None]"]:
    """Begin to wait, many for each command, evenly over the connections."""

    async def wait(comby: Comby, request_id: str) -> None:
        receipt = await comby.wait(request_id, timeout=60)
        notices.told.setdefault(request_id, []).append(time.time())
        assert (request_id, Stage.EXECUTED) == (receipt.request_id, receipt.stage)
        assert 1 == len(receipt.event_ids)
        notices.right += 1

    everybody = [one for one in request_ids for _ in range(WAITERS_PER_COMMAND)]
    return [asyncio.create_task(wait(combies[place % len(combies)], one)) for place, one in enumerate(everybody)]
