"""Row A5: the server is killed again and again while commands come in."""

import asyncio
import random
from collections import Counter
from uuid import uuid4

import pytest

from comby.client import Comby, CombyError, RetryPolicy, Stage, Wait, connect
from tests.reliability.conftest import STORES, Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_commands, read_log
from tests.reliability.trial_server import TrialServer

CALLERS = 32
ABANDONED = 0.05
"""The share of commands that are not sent again when their call fails: they may have an effect or none."""
ACCEPTED = 0.4
"""The share of commands that wait for nothing but being stored."""
SERVING_SECONDS = 15.0
"""The bar is 3, on a machine that does nothing else; most of it is the start of Python."""


class Load:
    """Callers that count on what they were told."""

    def __init__(self, trial: TrialClient, chance: random.Random) -> None:
        self.trial = trial
        self.chance = chance
        self.acknowledged: dict[str, Stage] = {}
        self.abandoned: set[str] = set()
        self.failures: Counter[str] = Counter()
        self.done = False

    async def call(self, counters: list[str]) -> None:
        """Increment counters until the load is done."""
        while not self.done:
            request_id = str(uuid4())
            wait: Wait = Stage.ACCEPTED if self.chance.random() < ACCEPTED else Stage.EXECUTED
            counter = self.chance.choice(counters)
            while request_id not in self.acknowledged and request_id not in self.abandoned:
                try:
                    receipt = await self.trial.increment(counter_id=counter, request_id=request_id, wait=wait)
                    self.acknowledged[request_id] = receipt.stage
                except CombyError as error:
                    self.failures[error.code.name] += 1
                    if self.chance.random() < ABANDONED:
                        self.abandoned.add(request_id)


@pytest.mark.parametrize("serve", STORES, indirect=True)
async def test_a5_whatever_was_acknowledged_is_there_once(
    long: bool, serve: Serve, report: Report, seed: int, request: pytest.FixtureRequest
) -> None:
    """Every acknowledged command has one outcome and one effect; the log has no hole and no version twice.

    Seen failing: ACCEPTED answered when the command is queued to be stored, and not when it is.
    """
    kills, wanted = (20, 20_000) if long else (3, 1_200)
    chance = random.Random(seed)
    async with (
        serve() as server,
        connect(server.target, retry=RetryPolicy(attempts=8, initial=0.05, maximum=0.4)) as comby,
    ):
        trial = TrialClient(comby)
        common = (await trial.start_counter()).aggregate_id
        own = [(await trial.start_counter()).aggregate_id for _ in range(CALLERS)]
        load = Load(trial, chance)
        async with asyncio.TaskGroup() as group:
            for counter in own:
                group.create_task(load.call([counter, counter, counter, common]))
            restarts = await _kill_often(server, load, kills, wanted)
            load.done = True

        await assert_nothing_lost(comby, load)
        if long:
            assert max(restarts) < SERVING_SECONDS
        report(
            f"A5 {request.node.callspec.params['serve']}",
            kills=kills,
            acknowledged=len(load.acknowledged),
            abandoned=len(load.abandoned),
            lost=0,
            doubled=0,
            failed_calls=dict(load.failures),
            slowest_restart_s=max(restarts),
        )


async def assert_nothing_lost(comby: Comby, load: Load, *, probes: int = 0) -> None:
    """Every acknowledged command has one outcome and one effect, and the log is whole. `probes` are effects of others."""
    for request_id in load.acknowledged:
        if load.acknowledged[request_id] is Stage.ACCEPTED:
            receipt = await comby.wait(request_id, timeout=30)
            assert Stage.EXECUTED is receipt.stage, receipt
    log = await read_log(comby)
    log.assert_whole()
    log.assert_one_effect_each(load.acknowledged)
    effects = log.effects()
    assert all(effects[one] <= 1 for one in load.abandoned)
    ours = len(load.acknowledged) + sum(effects[one] for one in load.abandoned)
    assert len(log.events) == CALLERS + 1 + ours + probes
    stored = await read_commands(comby)
    assert {Stage.EXECUTED} == {stored[request_id].receipt.stage for request_id in load.acknowledged}


async def _kill_often(server: TrialServer, load: Load, kills: int, wanted: int) -> list[float]:
    """Kill and start the server, evenly over the commands that are wanted; return how long each start took."""
    restarts = []
    for number in range(1, kills + 1):
        while len(load.acknowledged) < number * wanted // (kills + 1):
            await asyncio.sleep(0.005)
        await asyncio.sleep(load.chance.uniform(0, 0.1))
        await server.kill()
        restarts.append(await server.start())
    while len(load.acknowledged) < wanted:
        await asyncio.sleep(0.01)
    return restarts
