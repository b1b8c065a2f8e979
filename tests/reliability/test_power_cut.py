"""Row A7: the power is cut again and again while commands come in. The store is on a disk that then has what had reached it, and no more."""

import asyncio
import os
import random
import signal
from pathlib import Path

import pytest

from comby.client import RetryPolicy, connect
from tests.postgres_server import PostgresServer
from tests.reliability.conftest import STORES, Report
from tests.reliability.disk import Disk, disk, store_on
from tests.reliability.load import assert_nothing_lost, under_load
from tests.reliability.trial_server import TrialServer, serving

MEGABYTES = {"sqlite": 256, "postgres": 512}


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
    """Seen failing: SQLite with `synchronous=normal`, PostgreSQL with `synchronous_commit=off`."""
    cuts, wanted = (20, 8_000) if long else (4, 1_500)
    with disk(tmp_path, MEGABYTES[store]) as device, store_on(device.root, store) as (url, postgres):
        async with (
            serving(tmp_path, store=url) as server,
            connect(server.target, retry=RetryPolicy(attempts=8, initial=0.05, maximum=0.4)) as comby,
        ):
            machine = Machine(server, device, postgres)
            device.write_all()  # what was set up before is not what is tested
            async with under_load(comby, random.Random(seed)) as load:
                for number in range(1, cuts + 1):
                    await load.acknowledges(number * wanted // (cuts + 1))
                    kept = await asyncio.to_thread(machine.stand_still)
                    await asyncio.to_thread(machine.lose_power, kept)
                    await server.process.wait()
                    await server.start()
                await load.acknowledges(wanted)
            await assert_nothing_lost(comby, load)
    report(f"A7 {store}", cuts=cuts, acknowledged=len(load.acknowledged), lost=0, doubled=0)
