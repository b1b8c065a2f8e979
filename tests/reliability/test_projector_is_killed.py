"""Row C5: the process is killed while a projection writes; each event counts once all the same."""

import asyncio
import random
from collections import Counter as Count

import pytest

from comby.client import Comby, RetryPolicy, Stage, connect
from comby.server.bootstrap import open_store
from comby.server.ports.read_model_store import RowQuery
from tests.reliability.conftest import STORES, Report, Serve
from tests.reliability.domain.v1.trial_client import TrialClient
from tests.reliability.domain.v1.trial_pb2 import Counter, Increment, Incremented
from tests.reliability.event_log import read_log
from tests.reliability.trial_server import TrialServer

APP = "tests.reliability.domain.app:app_with_tally"
COUNTERS = 10
CATCH_UP_SECONDS = 60


@pytest.mark.parametrize("serve", STORES, indirect=True)
async def test_c5_a_read_model_is_what_its_events_make_of_it(
    long: bool, serve: Serve, report: Report, seed: int
) -> None:
    """Rows equal a fold of the log, byte for byte, after many kills, and again after a rebuild from the beginning.

    Seen failing: the checkpoint moved in a commit of its own, before that of the rows.
    """
    kills, each = (50, 200) if long else (3, 60)
    chance = random.Random(seed)
    async with (
        serve(app=APP) as server,
        connect(server.target, retry=RetryPolicy(attempts=200, initial=0.05, maximum=0.3), timeout=60) as comby,
    ):
        counters = [(await TrialClient(comby).start_counter()).aggregate_id for _ in range(COUNTERS)]
        for _ in range(kills):
            await _write(comby, counters, each, chance)
            await asyncio.sleep(chance.uniform(0, 0.02))  # the projection is behind the commands
            await server.kill()
            await server.start()
        expected = await _folded(comby)
        await _reaches(comby, 1)
        assert expected == await _rows(server, 1)
        await comby.rebuild_projection("tally")
        await _reaches(comby, 2)
        assert expected == await _rows(server, 2)
        report("C5", kills=kills, events=sum(Counter.FromString(row).value for row in expected.values()), different=0)


async def _write(comby: Comby, counters: list[str], count: int, chance: random.Random) -> None:
    async with comby.pipeline() as pipeline:
        for _ in range(count):
            await pipeline.dispatch(Increment(counter_id=chance.choice(counters)), wait=Stage.EXECUTED)


async def _folded(comby: Comby) -> dict[str, bytes]:
    log = await read_log(comby)
    counts = Count(event.aggregate_id for event in log.events if isinstance(event.event, Incremented))
    return {counter: Counter(value=value).SerializeToString() for counter, value in counts.items()}


async def _reaches(comby: Comby, generation: int) -> None:
    """Wait until this generation is live and has handled everything."""
    async with asyncio.timeout(CATCH_UP_SECONDS):
        while True:
            [tally] = await comby.list_consumers()
            if tally.generation == generation and not tally.HasField("rebuilding") and tally.position == tally.head:
                return
            await asyncio.sleep(0.02)


async def _rows(server: TrialServer, generation: int) -> dict[str, bytes]:
    """Read the rows of a generation from the store itself; nobody may have it open."""
    await server.terminate()
    async with open_store(server.store) as store:
        query = RowQuery(model=f"projection:tally:{generation}", tenant_id="default")
        found = {one.row.key: one.row.row for one in await store.read_models.list(query, limit=COUNTERS + 1)}
    await server.start()
    return found
