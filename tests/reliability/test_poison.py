"""Row B5: a command whose handler raises, never returns, or ends the process."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import pytest

from comby.client import Comby, DeadlineExceeded, Receipt, RetryPolicy, Stage, Unavailable, connect
from tests.reliability.conftest import Report, Serve
from tests.reliability.domain.app import HEALED
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import MANNER_CLING, MANNER_EXIT, MANNER_LOOP, MANNER_RAISE, Manner
from tests.reliability.event_log import read_log

STARTS = 5
OTHERS = 8
WATCHED = ("--limit", "handler_interrupt=0.3", "--limit", "handler_abort=1")
"""A watchdog that is quicker than in earnest, for the short form."""
ENDS_THE_PROCESS = {MANNER_CLING, MANNER_EXIT}


class Others:
    """Callers who have nothing to do with it."""

    def __init__(self, trial: TrialClient) -> None:
        self._trial = trial
        self._done = False
        self.acknowledged: list[str] = []

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[None]:
        """Let each increment a counter of its own, again and again, until the context is left."""
        counters = [(await self._trial.start_counter()).aggregate_id for _ in range(OTHERS)]
        async with asyncio.TaskGroup() as group:
            for counter in counters:
                group.create_task(self._call(counter))
            try:
                yield
            finally:
                self._done = True

    async def rate(self, seconds: float) -> float:
        """Measure how many commands end in a second."""
        before, began = len(self.acknowledged), time.monotonic()
        await asyncio.sleep(seconds)
        return (len(self.acknowledged) - before) / (time.monotonic() - began)

    async def _call(self, counter: str) -> None:
        request_id = str(uuid4())
        while not self._done:
            try:
                await self._trial.increment(counter_id=counter, request_id=request_id, timeout=20)
            except (DeadlineExceeded, Unavailable):
                continue  # a poison has ended the process: the same command again
            self.acknowledged.append(request_id)
            request_id = str(uuid4())


@pytest.mark.parametrize(
    "manner", [MANNER_RAISE, MANNER_LOOP, MANNER_CLING, MANNER_EXIT], ids=lambda one: Manner.Name(one)
)
async def test_b5_a_poisonous_command_is_parked_after_five_starts(
    manner: Manner.ValueType, long: bool, serve: Serve, report: Report, tmp_path: Path
) -> None:
    """It is listed, its aggregate and all others go on, and once its cause is mended it is executed on request.

    Seen failing: the attempt counted after the handler (one that ends the process is then started for ever).
    """
    retry = RetryPolicy(attempts=100, initial=0.05, maximum=0.5)
    async with (
        serve(*(() if long else WATCHED)) as server,
        connect(server.target, retry=retry) as comby,
        server.revived(),
    ):
        trial = TrialClient(comby)
        counter = (await trial.start_counter()).aggregate_id
        poison = str(uuid4())
        others = Others(trial)
        async with others.calling():
            before = await others.rate(10 if long else 0.5)
            done, began = len(others.acknowledged), time.monotonic()
            await trial.misbehave(counter_id=counter, manner=manner, request_id=poison, wait=Stage.ACCEPTED)
            behind = await trial.increment(counter_id=counter, wait=Stage.ACCEPTED, timeout=120)
            parked = await _end_of(comby, poison)
            during = (len(others.acknowledged) - done) / (time.monotonic() - began)
            assert Stage.PARKED is parked.stage
            assert Stage.EXECUTED is (await _end_of(comby, behind.request_id)).stage
            after = await others.rate(10 if long else 0.5)
        assert STARTS == _starts(tmp_path / counter)
        listed = await comby.list_commands(stages=[Stage.PARKED])
        assert [(poison, STARTS)] == [(one.receipt.request_id, one.attempts) for one in listed.items]
        assert 1 + (STARTS if manner in ENDS_THE_PROCESS else 0) == server.starts

        starts = STARTS
        if long:
            assert Stage.ACCEPTED is (await comby.retry_command(poison)).receipt.stage
            assert Stage.PARKED is (await _end_of(comby, poison)).stage
            starts += STARTS
            assert starts == _starts(tmp_path / counter)
        (tmp_path / HEALED).touch()
        await comby.retry_command(poison)
        assert Stage.EXECUTED is (await _end_of(comby, poison)).stage
        assert starts + 1 == _starts(tmp_path / counter)
        log = await read_log(comby)
        log.assert_whole()
        log.assert_one_effect_each([*others.acknowledged, poison, behind.request_id])
        assert not (await comby.list_commands(stages=[Stage.PARKED])).items
        if long and manner == MANNER_RAISE:
            assert during >= 0.8 * before
        report(
            f"B5 {Manner.Name(manner)}",
            starts=STARTS,
            processes=server.starts,
            others_done=len(others.acknowledged),
            others_per_s_before=before,
            during=during,
            after=after,
        )


async def _end_of(comby: Comby, request_id: str) -> Receipt:
    """Wait for a command while the server is away, or stands still, for seconds at a time."""
    while True:
        with suppress(DeadlineExceeded, Unavailable):
            return await comby.wait(request_id)


def _starts(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())
