"""Cold load, in process: an aggregate of many events, folded from the store with no snapshot and nothing remembered.

`python -m benchmarks.cold_load EVENTS ROUNDS [state]` prints the seconds; with `state` the load uses the stored state, as a running server does.
"""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from uuid import uuid4

from bench.counter.v1 import counter_pb2
from benchmarks.app import app
from comby.server import Facade
from comby.server.application.requests import CommandRequest, Stage
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey
from comby.server.stores.sqlite import open_sqlite


async def main(events: int, rounds: int, *, stored_state: bool) -> dict[str, float]:
    """Fill one counter, then load it again and again."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite(f"sqlite:///{Path(folder, 'bench.db')}") as store:
            facade = Facade("bench", store)
            app(facade)
            async with facade:
                counter_id = await _fill(facade, events)
                repository = facade._running.repository
                kind = facade.registry.aggregates["Counter.Counter"]
                key = AggregateKey("default", "Counter", counter_id)
                began = time.perf_counter()
                for _ in range(rounds):
                    if stored_state:
                        loaded = await repository.load_stored(key, kind)
                    else:
                        loaded = await repository.fold(key, kind, snapshots=False)
                    assert loaded.version == events
                return {"operations": rounds, "seconds": time.perf_counter() - began}


async def _fill(facade: Facade, events: int) -> str:
    counter_id = str(uuid4())
    commands = [counter_pb2.StartCounter(counter_id=counter_id, name="counter")]
    commands += [counter_pb2.AddToCounter(counter_id=counter_id, amount=1)] * (events - 1)
    for command in commands:
        request = CommandRequest(
            type=command.DESCRIPTOR.full_name,
            payload=command.SerializeToString(),
            context=RequestContext(),
            wait=Stage.EXECUTED,
        )
        receipt = await facade.dispatch_command(request)
        assert receipt.error is None
    return counter_id


if __name__ == "__main__":
    flags = sys.argv[1:]
    print(json.dumps(asyncio.run(main(int(flags[0]), int(flags[1]), stored_state="state" in flags))))
