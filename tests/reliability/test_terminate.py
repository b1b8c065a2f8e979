"""Row B9: the server is told to stop while commands come in."""

import asyncio
import random
from collections import Counter
from uuid import uuid4

import grpc

from comby.client import Comby, CombyError, RetryPolicy, Stage, Wait, connect
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_log

CALLERS = 24
EXIT_SECONDS = 10.0
DAWDLE_MS = 150


class Load:
    """Callers that note how every call ended, and send nothing twice."""

    def __init__(self, comby: Comby, chance: random.Random) -> None:
        self._trial = TrialClient(comby)
        self._chance = chance
        self.acknowledged: list[str] = []
        self.unavailable: list[str] = []
        self.codes: Counter[grpc.StatusCode] = Counter()
        self.stopped = False

    async def call(self, counter: str) -> None:
        """Call until the server is gone."""
        while not self.stopped:
            request_id = str(uuid4())
            wait: Wait = Stage.ACCEPTED if self._chance.random() < 0.3 else Stage.EXECUTED
            try:
                if self._chance.random() < 0.1:
                    await self._trial.dawdle(
                        counter_id=counter, milliseconds=DAWDLE_MS, wait=wait, request_id=request_id
                    )
                else:
                    await self._trial.increment(counter_id=counter, wait=wait, request_id=request_id)
            except CombyError as error:
                self.codes[error.code] += 1
                self.unavailable.append(request_id)
                await asyncio.sleep(0.01)
            else:
                self.codes[grpc.StatusCode.OK] += 1
                self.acknowledged.append(request_id)


async def test_b9_a_stop_loses_nothing_and_leaves_no_call_in_doubt(
    long: bool, serve: Serve, report: Report, seed: int
) -> None:
    """Every call ends with a result or UNAVAILABLE, what was acknowledged is there, and the process ends in time.

    Seen failing: the server stopped at once, without waiting for running commands or holding new calls (some end as CANCELLED).
    """
    stops = 10 if long else 2
    chance = random.Random(seed)
    codes: Counter[grpc.StatusCode] = Counter()
    acknowledged: list[str] = []
    in_doubt: list[str] = []
    took: list[float] = []
    async with serve() as server:
        for _ in range(stops):
            async with connect(server.target, retry=RetryPolicy(attempts=1), ready_timeout=30) as comby:
                trial = TrialClient(comby)
                counters = [(await trial.start_counter()).aggregate_id for _ in range(CALLERS)]
                load = Load(comby, chance)
                async with asyncio.TaskGroup() as group:
                    for counter in counters:
                        group.create_task(load.call(counter))
                    await asyncio.sleep(chance.uniform(0.5, 1.5))
                    took.append(await server.terminate())
                    load.stopped = True
            codes += load.codes
            acknowledged += load.acknowledged
            in_doubt += load.unavailable
            await server.start()
        assert codes.keys() <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}, codes
        assert max(took) <= EXIT_SECONDS
        async with connect(server.target) as comby:
            for request_id in acknowledged:
                receipt = await comby.wait(request_id, timeout=30)
                assert Stage.EXECUTED is receipt.stage
            log = await read_log(comby)
        log.assert_whole()
        log.assert_one_effect_each(acknowledged)
        effects = log.effects()
        assert all(effects[one] <= 1 for one in in_doubt)
        report(
            "B9",
            stops=stops,
            acknowledged=len(acknowledged),
            lost=0,
            slowest_exit_s=max(took),
            effects_in_doubt=sum(effects[one] for one in in_doubt),
            **{code.name: count for code, count in codes.items()},
        )
