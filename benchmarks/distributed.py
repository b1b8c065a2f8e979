"""The measurements of one instance on PostgreSQL, which runs with durability on and its data on a disk."""

import argparse
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from benchmarks.order import committing, two_stores
from benchmarks.peers import umadb
from benchmarks.pgbench import insert_events
from benchmarks.postgres import Database, postgres
from benchmarks.processes import bare, comby, measured, sample
from benchmarks.table import Row, Sample, compared

CALLERS = 64
PEER_THREADS = (1, 16)
"""Those of the peer in process: its best counts."""
COMMITTERS = 256
PGBENCH_CLIENTS = 16


def pg_commands(options: argparse.Namespace) -> Iterator[Row]:
    """Unary commands against the same server without a store; and what they would be with a store that takes no time."""
    with (
        postgres(options.disk) as database,
        bare("edge") as limit,
        bare("forgetful") as best,
        comby(database.create("comby")) as ours,
    ):
        limits, bests, rates = [], [], []
        for _ in range(options.rounds):
            limits.append(sample(limit, "unary", seconds=options.seconds, in_flight=CALLERS))
            bests.append(sample(best, "unary", seconds=options.seconds, in_flight=CALLERS))
            rates.append(sample(ours, "unary", database=database, seconds=options.seconds, in_flight=CALLERS))
        yield compared("PostgreSQL: unary typed command", "the same server without a store", limits, rates, least=0.70)
        yield compared(
            "– with a store that takes no time", "the same server without a store", limits, bests, least=None
        )


def pg_pipeline(options: argparse.Namespace) -> Iterator[Row]:
    """Pipelined commands against single appends of UmaDB; and what they would be with a store that takes no time."""
    with (
        postgres(options.disk) as database,
        umadb(options.disk) as peer,
        bare("forgetful") as best,
        comby(database.create("comby")) as ours,
    ):
        peers, bests, rates = [], [], []
        for _ in range(options.rounds):
            bests.append(sample(best, "pipeline", seconds=options.seconds, in_flight=1000))
            peers.append(measured("benchmarks.peer_umadb", peer, str(CALLERS), str(options.seconds)))
            rates.append(sample(ours, "pipeline", database=database, seconds=options.seconds, in_flight=1000))
        yield compared("PostgreSQL: DispatchCommands", "UmaDB, single appends, 64 threads", peers, rates, least=2)
        yield compared(
            "– with a store that takes no time", "UmaDB, single appends, 64 threads", peers, bests, least=None
        )


def pg_add(options: argparse.Namespace) -> Iterator[Row]:
    """Load, one event and save: through gRPC with 64 callers, against the peer in process on the same PostgreSQL."""
    with postgres(options.disk) as database, comby(database.create("comby")) as ours:
        of_peer = database.create("peer")
        peers, rates = [], []
        for _ in range(options.rounds):
            peers.append(_best_of_peer(of_peer, options.seconds))
            rates.append(sample(ours, "add", database=database, seconds=options.seconds, in_flight=CALLERS))
        what = "PostgreSQL: load + 1 event + save, gRPC, 64 callers"
        yield compared(what, "eventsourcing in process, 1 or 16 threads", peers, rates, least=4)


def pg_commit(options: argparse.Namespace) -> Iterator[Row]:
    """Concurrent commits into the store, without gRPC, against the same insert by pgbench."""
    with postgres(options.disk) as database:
        url = database.create("comby")
        _commits(database, url, 0.1)  # makes the tables
        of_limit = database.create("limit", template="comby")
        ours, limits = [], []
        for _ in range(options.rounds):
            ours.append(_commits(database, url, options.seconds))
            limits.append(insert_events(database, of_limit, PGBENCH_CLIENTS, options.seconds))
        yield compared("PostgreSQL: commit, 256 callers, events/s", "pgbench, 16 clients", limits, ours, least=3)


def pg_order(options: argparse.Namespace) -> Iterator[Row]:
    """What the one order of the log costs: commits under its lock against the same without, by one process and by four."""
    with postgres(options.disk) as database:
        with_order, without = two_stores(database)
        for processes, least in ((1, 0.9), (4, 0.6)):
            ours, limits = [], []
            for _ in range(options.rounds):
                ours.append(committing(database, with_order, processes, options.seconds))
                limits.append(committing(database, without, processes, options.seconds))
            what = f"PostgreSQL: commits in one order, {processes} process{'es' if processes > 1 else ''}, events/s"
            yield compared(what, "the same without the lock", limits, ours, least=least)


def _commits(database: Database, url: str, seconds: float) -> Sample:
    return measured("benchmarks.committers", url, str(COMMITTERS), str(seconds), database=database)


def _best_of_peer(url: str, seconds: float) -> Sample:
    found = urlsplit(url)
    place = (str(found.hostname), str(found.port), str(found.username), found.path.lstrip("/"))
    tries = [
        measured("benchmarks.peer_eventsourcing", "postgres", *place, str(one), str(seconds)) for one in PEER_THREADS
    ]
    return max(tries, key=lambda one: one.rate)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "pg_commands": pg_commands,
    "pg_pipeline": pg_pipeline,
    "pg_add": pg_add,
    "pg_commit": pg_commit,
    "pg_order": pg_order,
}
