"""The measurements of live subscribers, on PostgreSQL."""

import argparse
from collections.abc import Callable, Iterator

from benchmarks.postgres import postgres
from benchmarks.processes import comby, load, sample
from benchmarks.table import Row, bounded, compared

SUBSCRIBERS = 100


def pg_delivery(options: argparse.Namespace) -> Iterator[Row]:
    """From a command to its event at a subscriber, under half of the load that 64 callers reach."""
    with postgres(options.disk) as database, comby(database.create("comby")) as server:
        medians, slowest = [], []
        for _ in range(options.rounds):
            rate = sample(server, "unary", seconds=options.seconds / 2).rate / 2
            result = load("delivered", server.address, rate=rate, seconds=options.seconds)
            medians.append(result["p50"])
            slowest.append(result["p99"])
        yield bounded("PostgreSQL: command to subscriber, half load, p50 ms", "–", medians, most=10)
        yield bounded("the same, p99 ms", "–", slowest, most=100)


def pg_fanout(options: argparse.Namespace) -> Iterator[Row]:
    """Many live subscribers against one, while a pipeline writes as fast as it can."""
    with postgres(options.disk) as database, comby(database.create("comby")) as server:
        one, many = [], []
        for _ in range(options.rounds):
            one.append(sample(server, "fanout", database=database, subscribers=1, seconds=options.seconds))
            many.append(sample(server, "fanout", database=database, subscribers=SUBSCRIBERS, seconds=options.seconds))
        yield compared("PostgreSQL: 100 live subscribers, deliveries/s", "one subscriber", one, many, least=20)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "pg_delivery": pg_delivery,
    "pg_fanout": pg_fanout,
}
