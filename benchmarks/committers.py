"""Many callers that commit into the PostgreSQL store through the commit queue, in process.

`python -m benchmarks.committers URL CALLERS SECONDS [together]` prints the events and seconds. The requests are made before the clock runs;
with `together` it then prints a line, and waits for one, so that several processes begin at once.
"""

import asyncio
import itertools
import json
import sys
import time
from collections.abc import Iterator

import uvloop
from uuid_utils import uuid7

from benchmarks.store_commit import request
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.event_bus import EventBus
from comby.server.application.limits import Limits
from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.event_store import Committed, FinishCommand
from comby.server.stores.postgres import open_postgres

MOST_A_SECOND = 40_000


async def main(url: str, callers: int, seconds: float, together: bool) -> dict[str, float]:
    """Commit requests on new aggregates, `callers` at a time."""
    made = [
        request(AggregateKey("default", "Order", str(uuid7())), Version(1), number)
        for number in range(int(seconds * MOST_A_SECOND))
    ]
    source = iter(made)
    async with open_postgres(url) as store:
        queue = CommitQueue(store.events, EventBus(await store.events.head()), Limits(), lambda events: None)
        running = asyncio.create_task(queue.run())
        await asyncio.gather(*(_commit(queue, itertools.islice(source, 4)) for _ in range(callers)))
        if together:
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        began = time.perf_counter()
        done = await asyncio.gather(*(_commit(queue, source, began + seconds) for _ in range(callers)))
        took = time.perf_counter() - began
        running.cancel()
    return {"operations": sum(done), "seconds": took}


async def _commit(queue: CommitQueue, source: Iterator[FinishCommand], ends: float = float("inf")) -> int:
    done = 0
    while time.perf_counter() < ends:
        write = next(source, None)
        if write is None:
            break
        verdict = await queue.submit(write)
        assert isinstance(verdict, Committed), verdict
        done += 1
    return done


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:] == ["together"]))))
