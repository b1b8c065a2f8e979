"""Row B8: more commands than can be executed, and more calls than can be answered."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Awaitable
from uuid import uuid4

import grpc

from comby.client import CombyError, Overloaded, Receipt, RetryPolicy, Stage, connect
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import Dawdle
from tests.reliability.event_log import read_log

LANES = 8
DAWDLE_MS = 40
CAPACITY = LANES * 1000 / DAWDLE_MS
"""Commands a second: the handlers sleep, so that it is known, on a busy machine too."""
TIMES = 5
OPEN = 400
"""Open commands of one tenant at most; a few seconds of work."""
QUIET = "quiet"
MEMORY_MB = 200.0
BURST = 5_000


async def test_b8_what_is_accepted_is_finished_and_the_rest_is_refused(
    long: bool, serve: Serve, report: Report
) -> None:
    """Five times capacity is offered by one tenant; another one calls now and then, and is never refused.

    Seen failing: no bound on open commands (nothing is refused), and one bound for all tenants (the other is refused).
    """
    seconds = 60 if long else 4
    async with (
        serve("--limit", f"open_commands_per_tenant={OPEN}", "--limit", f"open_commands={OPEN * 2}") as server,
        connect(server.target, retry=RetryPolicy(attempts=1)) as comby,
    ):
        trial = TrialClient(comby)
        counters = [(await trial.start_counter()).aggregate_id for _ in range(LANES)]
        quiet = (await trial.start_counter(tenant_id=QUIET)).aggregate_id
        alone = await _quiet_calls(trial, quiet, 40)
        memory = server.memory()
        answers: list[Awaitable[Receipt]] = []
        calm = asyncio.create_task(_quiet_calls(trial, quiet, seconds * 10))
        async with comby.pipeline(in_flight=5_000) as flood:
            began = time.monotonic()
            while (elapsed := time.monotonic() - began) < seconds:
                for place in range(len(answers), int(elapsed * CAPACITY * TIMES)):
                    command = Dawdle(counter_id=counters[place % LANES], milliseconds=DAWDLE_MS)
                    answers.append(await flood.dispatch(command))
                await asyncio.sleep(0.01)
            done_in_time = sum(event.type == "Trial.Incremented" for event in (await read_log(comby)).events)
            told = await asyncio.gather(*answers, return_exceptions=True)
        beside = await calm
        accepted = [one.request_id for one in told if isinstance(one, Receipt)]
        refused = [one for one in told if not isinstance(one, Receipt)]
        assert refused
        assert {Overloaded} == {type(one) for one in refused}
        for request_id in accepted:
            assert Stage.EXECUTED is (await comby.wait(request_id, timeout=60)).stage
        log = await read_log(comby)
        log.assert_whole()
        log.assert_one_effect_each(accepted)
        grown = server.memory() - memory
        assert grown < MEMORY_MB
        goodput = (done_in_time - len(alone) - len(beside)) / seconds / CAPACITY
        if long:
            assert goodput >= 0.8
        report(
            "B8",
            seconds=seconds,
            offered=len(told),
            accepted=len(accepted),
            finished=len(accepted),
            RESOURCE_EXHAUSTED=len(refused),
            other_codes=0,
            goodput_of_peak=goodput,
            memory_grown_mb=grown,
            other_tenant_calls=len(beside),
            p99_ratio=_p99(beside) / _p99(alone),
        )


async def test_b8_a_burst_of_calls_ends_in_answers_and_refusals(long: bool, serve: Serve, report: Report) -> None:
    """Calls beyond the bound are refused with RESOURCE_EXHAUSTED, and none is CANCELLED.

    Seen failing: the pending requests of gRPC core left at their default (some calls are CANCELLED).
    """
    async with serve() as server, connect(server.target, retry=RetryPolicy(attempts=1)) as comby:
        trial = TrialClient(comby)
        counters = [(await trial.start_counter()).aggregate_id for _ in range(64)]
        codes: Counter[grpc.StatusCode] = Counter()
        acknowledged: list[str] = []

        async def call(number: int) -> None:
            try:
                receipt = await trial.increment(counter_id=counters[number % 64], timeout=60)
                acknowledged.append(receipt.request_id)
                codes[grpc.StatusCode.OK] += 1
            except CombyError as error:
                codes[error.code] += 1

        for _ in range(3 if long else 1):
            await asyncio.gather(*(call(number) for number in range(BURST)))
        assert codes.keys() <= {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}, codes
        log = await read_log(comby)
        log.assert_one_effect_each(acknowledged)
        assert len(log.events) == 64 + codes[grpc.StatusCode.OK]
        report("B8 burst", **{code.name: count for code, count in codes.items()}, CANCELLED=0)


async def _quiet_calls(trial: TrialClient, counter: str, calls: int) -> list[float]:
    """Call now and then, and return how long each call took; none may be refused."""
    took = []
    for _ in range(calls):
        began = time.monotonic()
        await trial.increment(counter_id=counter, request_id=str(uuid4()), tenant_id=QUIET)
        took.append(time.monotonic() - began)
        await asyncio.sleep(0.05)
    return took


def _p99(took: list[float]) -> float:
    return statistics.quantiles(took, n=100)[98]
