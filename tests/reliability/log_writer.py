"""A process of row A2: writers that append to aggregates of their own, some slowly, some in vain.

python -m tests.reliability.log_writer URL NAME WRITERS EVENTS SEED

Prints what was acknowledged as one JSON object: for each aggregate, its events; and how many commits were held open or aborted.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field

from comby.server.domain.identity import AggregateKey
from comby.server.ports.event_store import Committed, FinishCommand
from comby.server.stores.postgres import open_postgres
from comby.server.stores.postgres.connection import close, connect
from tests.contract.making import append, order
from tests.reliability.held_commit import Abort, held

HELD, ABORTED = 0.02, 0.01
LEAST_HELD, LONGEST_HELD = 0.005, 0.05
AGGREGATES = 4
"""Of each writer."""


@dataclass
class Tally:
    """What the writers of a process did."""

    left: int
    versions: dict[AggregateKey, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


async def write(url: str, name: str, tally: Tally, chance: random.Random) -> None:
    """Commit one request after the other until the process has its events."""
    keys = [order(f"{name}-{number}") for number in range(AGGREGATES)]
    connection = await connect(url)
    async with open_postgres(url) as store:
        while tally.left > 0:
            key = chance.choice(keys)
            events = chance.randint(1, 3)
            version = tally.versions.get(key, 0)
            request: FinishCommand = append(key, events, after=version)
            luck = chance.random()
            if luck < HELD + ABORTED:
                async with held(connection, store.events.identity, [request]) as [verdict]:
                    await asyncio.sleep(chance.uniform(LEAST_HELD, LONGEST_HELD))
                    if luck < ABORTED:
                        tally.counts["aborted"] += 1
                        raise Abort
                    tally.counts["held"] += 1
                if luck < ABORTED:
                    continue
            else:
                [verdict] = await store.events.commit([request])
            assert isinstance(verdict, Committed), verdict
            tally.versions[key] = version + events
            tally.left -= events
    await close(connection)


async def main(url: str, name: str, writers: int, events: int, seed: int) -> None:
    tally = Tally(left=events)
    async with asyncio.TaskGroup() as group:
        for number in range(writers):
            group.create_task(write(url, f"{name}-{number}", tally, random.Random(f"{seed}-{name}-{number}")))
    versions = {key.aggregate_id: version for key, version in tally.versions.items()}
    print(json.dumps({"versions": versions, **tally.counts}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])))
