"""Row A8: the disk of the store is full, again and again, and has room again, while commands come in."""

import asyncio
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest

from comby.client import Comby, CombyError, RetryPolicy, Stage, connect
from tests.postgres_server import PostgresServer
from tests.reliability.conftest import STORES, Report
from tests.reliability.disk import small_disk, store_on
from tests.reliability.domain.v1.trial_pb2 import Counter
from tests.reliability.event_log import read_log
from tests.reliability.load import Load, assert_nothing_lost, under_load
from tests.reliability.trial_server import serving

MEGABYTES = {"sqlite": 64, "postgres": 160}
BLOCK = 64 * 1024
REFUSED = 50
"""Calls that fail while the disk is full, at least."""
PROGRESS_SECONDS = 60


@pytest.mark.storage
@pytest.mark.timeout(600)
@pytest.mark.parametrize("store", STORES)
async def test_a8_a_full_disk_loses_nothing_and_needs_no_restart(
    store: str, long: bool, report: Report, seed: int, tmp_path: Path
) -> None:
    """Callers get UNAVAILABLE meanwhile, and writes go on once there is room, in the same process; reads do all the time.

    PostgreSQL may end when it can not write its log: then nothing can be read, and it is started again, as an init system does.
    """
    fills, step = (10, 500) if long else (3, 200)
    reads = 0
    with small_disk(MEGABYTES[store]) as root, store_on(root, store) as (url, postgres):
        async with (
            serving(tmp_path, store=url) as server,
            connect(server.target, retry=RetryPolicy(attempts=2, initial=0.02, maximum=0.1)) as comby,
        ):
            async with under_load(comby, random.Random(seed)) as load:
                for _ in range(fills):
                    await _more_acknowledged(load, step)
                    filler = root / "filler"
                    await asyncio.to_thread(_fill, filler)
                    await _more_refused(load)
                    reads += await _reads_go_on(comby, load, postgres)
                    filler.unlink()
                    if postgres is not None and postgres.ended:
                        await asyncio.to_thread(postgres.start)
                await _more_acknowledged(load, step)
            assert {"UNAVAILABLE"} == set(load.failures)
            assert 1 == server.starts
            await assert_nothing_lost(comby, load)
    report(
        f"A8 {store}",
        fills=fills,
        read_while_full=reads,
        acknowledged=len(load.acknowledged),
        refused=load.failures.total(),
        lost=0,
    )


async def _more_acknowledged(load: Load, count: int) -> None:
    async with asyncio.timeout(PROGRESS_SECONDS):
        await load.acknowledges(len(load.acknowledged) + count)


async def _more_refused(load: Load) -> None:
    wanted = load.failures.total() + REFUSED
    async with asyncio.timeout(PROGRESS_SECONDS):
        while load.failures.total() < wanted:
            await asyncio.sleep(0.01)


async def _reads_go_on(comby: Comby, load: Load, postgres: PostgresServer | None) -> bool:
    """Read the log and a state, while the disk is full; tell whether that was possible. Nothing but a database that has ended excuses it."""
    executed = {one for one, stage in load.acknowledged.items() if stage is Stage.EXECUTED}
    async with asyncio.timeout(PROGRESS_SECONDS):
        while postgres is None or not postgres.ended:
            try:
                log = await read_log(comby)
                view = await comby.get_aggregate(Counter, load.common)
            except CombyError as error:
                if postgres is None or error.code.name != "UNAVAILABLE":
                    raise
                await asyncio.sleep(0.1)
            else:
                assert executed <= set(log.effects())
                assert 0 < view.version
                return True
    return False


def _fill(file: Path) -> None:
    """Take all the room that is left, to the last page."""
    with file.open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(os.urandom(BLOCK))
