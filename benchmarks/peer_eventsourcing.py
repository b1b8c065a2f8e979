"""The peer: `eventsourcing` with its SQLite or PostgreSQL recorder, in process; the same counter.

`python -m benchmarks.peer_eventsourcing add SECONDS` prints the commands and seconds of load + 1 event + save, over 64 aggregates in turn.
`python -m benchmarks.peer_eventsourcing postgres HOST PORT USER DATABASE THREADS SECONDS` does the same with PostgreSQL, in many threads.
`python -m benchmarks.peer_eventsourcing load EVENTS ROUNDS` prints the seconds of one cold load of an aggregate of that many events.
"""

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
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
        return add_in_threads(application(folder), 1, seconds)


def postgres(host: str, port: str, user: str, database: str, threads: int, seconds: float) -> dict[str, float]:
    """The same on PostgreSQL; each thread has a connection and counters of its own."""
    app = Application[UUID](
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_HOST": host,
            "POSTGRES_PORT": port,
            "POSTGRES_USER": user,
            "POSTGRES_PASSWORD": "trusted",
            "POSTGRES_DBNAME": database,
            "POSTGRES_POOL_SIZE": str(threads),
        }
    )
    try:
        return add_in_threads(app, threads, seconds)
    finally:
        app.close()


def add_in_threads(app: Application[UUID], threads: int, seconds: float) -> dict[str, float]:
    """Return the commands of all threads together, over 64 aggregates."""
    counters = [Counter("counter") for _ in range(64)]
    app.save(*counters)
    counts = [0] * threads
    began = time.perf_counter()

    def run(place: int) -> None:
        ids = [counter.id for counter in counters[place::threads]]
        while time.perf_counter() - began < seconds:
            counter = app.repository.get(ids[counts[place] % len(ids)])
            counter.add(1)
            app.save(counter)
            counts[place] += 1

    if threads == 1:
        run(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(run, range(threads)))
    return {"operations": sum(counts), "seconds": time.perf_counter() - began}


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


def main(kind: str, *arguments: str) -> dict[str, float]:
    """Measure what the command line names."""
    match kind:
        case "add":
            return add(float(arguments[0]))
        case "load":
            return load(int(arguments[0]), int(arguments[1]))
        case _:
            host, port, user, database, threads, seconds = arguments
            return postgres(host, port, user, database, int(threads), float(seconds))


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
