"""Row A8: the disk of the store is full, again and again, and has room again, while commands come in."""

import asyncio
import os
import random
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from comby.client import RetryPolicy, Stage, connect
from tests.postgres_server import PostgresServer
from tests.reliability.conftest import STORES, Report
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.event_log import read_log
from tests.reliability.test_kill import CALLERS, Load, assert_nothing_lost
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
    """Callers get UNAVAILABLE meanwhile, and writes go on once there is room, in the same process; reads do all the time, on SQLite.

    PostgreSQL may end when it can not write its log: then it is started again, as an init system does.
    """
    fills, step = (10, 500) if long else (3, 200)
    with _small_disk(MEGABYTES[store]) as root, _url(store, root) as (url, postgres):
        async with (
            serving(tmp_path, store=url) as server,
            connect(server.target, retry=RetryPolicy(attempts=2, initial=0.02, maximum=0.1)) as comby,
        ):
            trial = TrialClient(comby)
            common = (await trial.start_counter()).aggregate_id
            own = [(await trial.start_counter()).aggregate_id for _ in range(CALLERS)]
            load = Load(trial, random.Random(seed))
            async with asyncio.TaskGroup() as group:
                for counter in own:
                    group.create_task(load.call([counter, counter, counter, common]))
                for _ in range(fills):
                    await _more_acknowledged(load, step)
                    filler = root / "filler"
                    await asyncio.to_thread(_fill, filler)
                    await _more_refused(load)
                    if postgres is None:
                        executed = {one for one, stage in load.acknowledged.items() if stage is Stage.EXECUTED}
                        assert executed <= set((await read_log(comby)).effects())
                    filler.unlink()
                    if postgres is not None and postgres.ended:
                        await asyncio.to_thread(postgres.start)
                await _more_acknowledged(load, step)
                load.done = True
            assert {"UNAVAILABLE"} == set(load.failures)
            assert 1 == server.starts
            await assert_nothing_lost(comby, load)
    report(f"A8 {store}", fills=fills, acknowledged=len(load.acknowledged), refused=load.failures.total(), lost=0)


async def _more_acknowledged(load: Load, count: int) -> None:
    wanted = len(load.acknowledged) + count
    async with asyncio.timeout(PROGRESS_SECONDS):
        while len(load.acknowledged) < wanted:
            await asyncio.sleep(0.01)


async def _more_refused(load: Load) -> None:
    wanted = load.failures.total() + REFUSED
    async with asyncio.timeout(PROGRESS_SECONDS):
        while load.failures.total() < wanted:
            await asyncio.sleep(0.01)


@contextmanager
def _small_disk(megabytes: int) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="comby-disk-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", root], check=True)
    try:
        yield root
    finally:
        subprocess.run(["umount", root], check=True)
        root.rmdir()


@contextmanager
def _url(store: str, root: Path) -> Iterator[tuple[str, PostgresServer | None]]:
    if store == "sqlite":
        yield f"sqlite:///{root / 'trial.db'}", None
        return
    postgres = PostgresServer("min_wal_size = 32MB\nmax_wal_size = 64MB", folder=root)
    try:
        yield postgres.create("trial"), postgres
    finally:
        postgres.close()


def _fill(file: Path) -> None:
    """Take all the room that is left, to the last page."""
    with file.open("ab", buffering=0) as filler, suppress(OSError):
        while True:
            filler.write(os.urandom(BLOCK))
