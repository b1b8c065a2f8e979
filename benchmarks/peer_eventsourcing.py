"""The peer: `eventsourcing` with its SQLite recorder, in process, one thread; the same counter.

`python -m benchmarks.peer_eventsourcing add SECONDS` prints the commands and seconds of load + 1 event + save, over 64 aggregates in turn.
`python -m benchmarks.peer_eventsourcing load EVENTS ROUNDS` prints the seconds of one cold load of an aggregate of that many events.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event


class Counter(Aggregate):
    """A number that rises."""

    @event("Started")
    def __init__(self, name: str) -> None:
        self.name = name
        self.total = 0

    @event("Raised")
    def add(self, amount: int) -> None:
        self.total += amount


def application(folder: str) -> Application[UUID]:
    """Return an application on a file, with the recorder's own settings."""
    return Application[UUID](
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(Path(folder, "peer.db"))}
    )


def add(seconds: float) -> dict[str, float]:
    """Load, record one event and save, again and again."""
    with tempfile.TemporaryDirectory() as folder:
        app = application(folder)
        ids = []
        for _ in range(64):
            counter = Counter("counter")
            app.save(counter)
            ids.append(counter.id)
        done = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            counter = app.repository.get(ids[done % len(ids)])
            counter.add(1)
            app.save(counter)
            done += 1
        return {"operations": done, "seconds": time.perf_counter() - began}


def load(events: int, rounds: int) -> dict[str, float]:
    """Load an aggregate of many events, with nothing cached."""
    with tempfile.TemporaryDirectory() as folder:
        app = application(folder)
        counter = Counter("counter")
        for _ in range(events - 1):
            counter.add(1)
        app.save(counter)
        began = time.perf_counter()
        for _ in range(rounds):
            found = app.repository.get(counter.id)
            assert found.total == events - 1
        return {"operations": rounds, "seconds": time.perf_counter() - began}


if __name__ == "__main__":
    kind, *numbers = sys.argv[1:]
    result = add(float(numbers[0])) if kind == "add" else load(int(numbers[0]), int(numbers[1]))
    print(json.dumps(result))
