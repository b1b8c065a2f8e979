"""Row A6: the database is stopped again and again, as by a crash, while commands come in."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from comby.client import Comby, CombyError, RetryPolicy, connect
from tests.postgres_server import PostgresServer
from tests.reliability.conftest import Report
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.load import assert_nothing_lost, under_load
from tests.reliability.trial_server import serving

BACK_SECONDS = 5.0
"""The bar: how long after the database's return commands are executed again."""


@pytest.fixture
async def postgres() -> AsyncIterator[PostgresServer]:
    """A server that may be stopped."""
    server = await asyncio.to_thread(PostgresServer)
    yield server
    await asyncio.to_thread(server.close)


async def test_a6_whatever_was_acknowledged_outlives_the_database(
    long: bool, postgres: PostgresServer, report: Report, seed: int, tmp_path: Path
) -> None:
    """Callers get UNAVAILABLE meanwhile, and the service connects again by itself.

    Seen failing: a batch whose connection was lost taken for one that was not stored.
    """
    stops, wanted = (5, 8_000) if long else (2, 800)
    store = await asyncio.to_thread(postgres.create, "trial")
    async with (
        serving(tmp_path, store=store) as server,
        connect(server.target, retry=RetryPolicy(attempts=3, initial=0.05, maximum=0.3)) as comby,
    ):
        back: list[float] = []
        async with under_load(comby, random.Random(seed)) as load:
            for number in range(1, stops + 1):
                await load.acknowledges(number * wanted // (stops + 1))
                await asyncio.to_thread(postgres.stop, signal.SIGQUIT)
                await asyncio.sleep(load.chance.uniform(0.1, 1.0))
                await asyncio.to_thread(postgres.start)
                back.append(await _executes_again(comby, load.common))
            await load.acknowledges(wanted)
        extra = len(back)
        log_extra = await _only_ours(comby, load.common)
        assert extra <= log_extra
        await assert_nothing_lost(comby, load, probes=log_extra)
        assert server.process.returncode is None
        if long:
            assert max(back) < BACK_SECONDS
        report(
            "A6",
            stops=stops,
            acknowledged=len(load.acknowledged),
            lost=0,
            doubled=0,
            failed_calls=dict(load.failures),
            slowest_return_s=max(back),
        )


async def _executes_again(comby: Comby, counter: str) -> float:
    """Return after how many seconds a command is executed."""
    began = time.monotonic()
    while True:
        try:
            await TrialClient(comby).increment(counter_id=counter, sequence=PROBE, timeout=2.0)
        except CombyError:
            continue
        return time.monotonic() - began


PROBE = 999_999


async def _only_ours(comby: Comby, counter: str) -> int:
    """Count the probes that took effect: one that failed may have."""
    count = 0
    async for event in comby.read_events(domains=["Trial"], aggregate_id=counter):
        count += getattr(event.event, "sequence", 0) == PROBE
    return count
