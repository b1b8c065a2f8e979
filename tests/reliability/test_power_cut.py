"""Row A7: the power is cut again and again while commands come in. The store is on a disk that then has what had reached it, and no more."""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from comby.client import RetryPolicy, connect
from tests.postgres_server import PostgresServer
from tests.reliability.conftest import STORES, Report
from tests.reliability.disk import Disk, disk
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.test_kill import CALLERS, Load, assert_nothing_lost
from tests.reliability.trial_server import TrialServer, serving

MEGABYTES = {"sqlite": 256, "postgres": 512}
LITTLE_LOG = "min_wal_size = 32MB\nmax_wal_size = 64MB\nshared_memory_type = mmap"


class Machine:
    """The server, its store and the disk that this is on, which lose their power together."""

    def __init__(self, server: TrialServer, disk: Disk, postgres: PostgresServer | None) -> None:
        self._server = server
        self._disk = disk
        self._postgres = postgres

    def stand_still(self) -> Path:
        """Stop all programs where they are, and return what is on the disk at that moment."""
        os.killpg(self._server.process.pid, signal.SIGSTOP)
        if self._postgres is not None:
            self._postgres.signal(signal.SIGSTOP)
        return self._disk.keep()

    def lose_power(self, kept: Path) -> None:
        """End all programs, and what the disk had not."""
        os.killpg(self._server.process.pid, signal.SIGKILL)
        if self._postgres is not None:
            self._postgres.kill()
        self._disk.go_back(kept)
        if self._postgres is not None:
            self._postgres.start()


@pytest.mark.storage
@pytest.mark.timeout(900)
@pytest.mark.parametrize("store", STORES)
async def test_a7_whatever_was_acknowledged_outlives_the_power(
    long: bool, store: str, report: Report, seed: int, tmp_path: Path
) -> None:
    """Seen failing: SQLite with `synchronous=normal`."""
    cuts, wanted = (20, 8_000) if long else (4, 1_500)
    chance = random.Random(seed)
    with disk(tmp_path, MEGABYTES[store]) as device, _url(store, device) as (url, postgres):
        async with (
            serving(tmp_path, store=url) as server,
            connect(server.target, retry=RetryPolicy(attempts=8, initial=0.05, maximum=0.4)) as comby,
        ):
            machine = Machine(server, device, postgres)
            trial = TrialClient(comby)
            common = (await trial.start_counter()).aggregate_id
            own = [(await trial.start_counter()).aggregate_id for _ in range(CALLERS)]
            device.write_all()  # what was set up before is not what is tested
            load = Load(trial, chance)
            async with asyncio.TaskGroup() as group:
                for counter in own:
                    group.create_task(load.call([counter, counter, counter, common]))
                for number in range(1, cuts + 1):
                    while len(load.acknowledged) < number * wanted // (cuts + 1):
                        await asyncio.sleep(0.005)
                    kept = await asyncio.to_thread(machine.stand_still)
                    await asyncio.to_thread(machine.lose_power, kept)
                    await server.process.wait()
                    await server.start()
                while len(load.acknowledged) < wanted:
                    await asyncio.sleep(0.01)
                load.done = True
            await assert_nothing_lost(comby, load)
    report(f"A7 {store}", cuts=cuts, acknowledged=len(load.acknowledged), lost=0, doubled=0)


@contextmanager
def _url(store: str, device: Disk) -> Iterator[tuple[str, PostgresServer | None]]:
    if store == "sqlite":
        yield f"sqlite:///{device.root / 'trial.db'}", None
        return
    postgres = PostgresServer(LITTLE_LOG, folder=device.root)
    try:
        yield postgres.create("trial"), postgres
    finally:
        postgres.close()
