"""Callers that count on what they were told, for the rows in which something fails under them."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from comby.client import Comby, CombyError, Stage, Wait
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_commands, read_log

CALLERS = 32
ABANDONED = 0.05
"""The share of commands that are not sent again when their call fails: they may have an effect or none."""
ACCEPTED = 0.4
"""The share of commands that wait for nothing but being stored."""


class Load:
    """What the callers were told."""

    def __init__(self, trial: TrialClient, chance: random.Random, common: str) -> None:
        """`common` is the counter that all of them increment."""
        self.trial = trial
        self.common = common
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

    async def acknowledges(self, count: int) -> None:
        """Wait until so many commands are acknowledged."""
        while len(self.acknowledged) < count:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def under_load(comby: Comby, chance: random.Random) -> AsyncIterator[Load]:
    """Have callers that each increment a counter of their own and a common one, until the context is left."""
    trial = TrialClient(comby)
    common = (await trial.start_counter()).aggregate_id
    own = [(await trial.start_counter()).aggregate_id for _ in range(CALLERS)]
    load = Load(trial, chance, common)
    async with asyncio.TaskGroup() as group:
        for counter in own:
            group.create_task(load.call([counter, counter, counter, common]))
        yield load
        load.done = True


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
