"""Row A4: many callers, one aggregate, each sure of the version that it has seen."""

import asyncio
from uuid import uuid4

import pytest

from comby.client import VersionConflict, connect
from tests.reliability.conftest import STORES, Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_log

CALLERS = 64
OTHERS = 16


@pytest.mark.parametrize("serve", STORES, indirect=True)
async def test_a4_one_wins_and_the_others_are_told(long: bool, serve: Serve, report: Report) -> None:
    """Losers learn what was expected and what is, and commands that share their transactions are not affected.

    Seen failing: expected versions compared nowhere (every attempt then succeeds).
    """
    attempts = 100 if long else 6
    async with serve() as server, connect(server.target) as comby:
        trial = TrialClient(comby)
        contested = (await trial.start_counter()).aggregate_id
        won: list[int] = []
        lost: list[tuple[int, int, int]] = []

        async def contest() -> None:
            version = 1
            for _ in range(attempts):
                try:
                    receipt = await trial.increment(counter_id=contested, expected_version=version)
                    assert version + 1 == receipt.aggregate_version
                    version = receipt.aggregate_version
                    won.append(version)
                except VersionConflict as conflict:
                    lost.append((version, conflict.expected, conflict.actual))
                    version = conflict.actual

        async def undisturbed() -> None:
            own = str(uuid4())
            assert 1 == (await trial.start_counter(counter_id=own)).aggregate_version
            for version in range(1, attempts + 1):
                receipt = await trial.increment(counter_id=own, expected_version=version)
                assert version + 1 == receipt.aggregate_version

        async with asyncio.TaskGroup() as group:
            for number in range(CALLERS + OTHERS):
                group.create_task(contest() if number < CALLERS else undisturbed())

        log = await read_log(comby)
        log.assert_whole()
        of_contested = [event for event in log.events if event.aggregate_id == contested]
        assert len(won) + 1 == of_contested[-1].version
        assert sorted(won) == list(range(2, len(won) + 2))
        assert CALLERS * attempts == len(won) + len(lost)
        assert lost
        assert all(sent == expected < actual for sent, expected, actual in lost)
        assert len(log.events) == 1 + len(won) + OTHERS * (1 + attempts)
        report("A4", callers=CALLERS, attempts=CALLERS * attempts, won=len(won), aborted=len(lost), others_affected=0)
