"""Row A5: the server is killed again and again while commands come in."""

import asyncio
import random

import pytest

from comby.client import RetryPolicy, connect
from tests.reliability.conftest import STORES, Report, Serve
from tests.reliability.load import Load, assert_nothing_lost, under_load
from tests.reliability.trial_server import TrialServer

SERVING_SECONDS = 15.0
"""The bar is 3, on a machine that does nothing else; most of it is the start of Python."""


@pytest.mark.parametrize("serve", STORES, indirect=True)
async def test_a5_whatever_was_acknowledged_is_there_once(
    long: bool, serve: Serve, report: Report, seed: int, request: pytest.FixtureRequest
) -> None:
    """Every acknowledged command has one outcome and one effect; the log has no hole and no version twice.

    Seen failing: ACCEPTED answered when the command is queued to be stored, and not when it is.
    """
    kills, wanted = (20, 20_000) if long else (3, 1_200)
    async with (
        serve() as server,
        connect(server.target, retry=RetryPolicy(attempts=8, initial=0.05, maximum=0.4)) as comby,
    ):
        async with under_load(comby, random.Random(seed)) as load:
            restarts = await _kill_often(server, load, kills, wanted)

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


async def _kill_often(server: TrialServer, load: Load, kills: int, wanted: int) -> list[float]:
    """Kill and start the server, evenly over the commands that are wanted; return how long each start took."""
    restarts = []
    for number in range(1, kills + 1):
        await load.acknowledges(number * wanted // (kills + 1))
        await asyncio.sleep(load.chance.uniform(0, 0.1))
        await server.kill()
        restarts.append(await server.start())
    await load.acknowledges(wanted)
    return restarts
