"""The measurements of two instances on one PostgreSQL."""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from uuid import uuid4

import grpc

from benchmarks.postgres import postgres
from benchmarks.processes import Server, comby, load, sample
from benchmarks.table import Row, bounded, compared
from comby.facade.v1 import cluster_pb2
from comby.server.application.admission import partition_of
from comby.server.domain.identity import AggregateKey

DESCRIBE = "/comby.facade.v1.FacadeService/DescribeCluster"
BALANCED_SECONDS = 30.0
SHARE = 50
"""Partitions of the 128 that each of two instances has at least, once they are shared."""


def pg_spread(options: argparse.Namespace) -> Iterator[Row]:
    """Commands spread over two instances, whoever owns their aggregates, against one instance."""
    with postgres(options.disk) as database, comby(database.create("one")) as alone:
        url = database.create("two")
        with comby(url) as first, comby(url) as second:
            owners(first)
            one, two = [], []
            for _ in range(options.rounds):
                one.append(sample(alone, "unary", database=database, seconds=options.seconds))
                two.append(sample([first, second], "unary", database=database, seconds=options.seconds))
        yield compared("PostgreSQL: two instances, load spread", "one instance", one, two, least=1.4)


def pg_forward(options: argparse.Namespace) -> Iterator[Row]:
    """The latency of a lone caller's commands: through an instance that has to forward them, and through the owner."""
    with postgres(options.disk) as database:
        url = database.create("comby")
        with comby(url) as first, comby(url) as second:
            through_owner, through_other = [], []
            for _ in range(options.rounds):
                for server, medians in ((first, through_owner), (second, through_other)):
                    flags = {"in_flight": 1, "counters": _counter_of(first), "seconds": options.seconds}
                    medians.append(load("add", server.address, **flags)["p50"])
        what = "PostgreSQL: command through a non-owner, median ms"
        yield bounded(what, "through the owner", through_other, limits=through_owner, most=2.5)


def owners(server: Server) -> tuple[str, dict[int, str]]:
    """Return an instance's id, and the owner of each partition, once two instances share them."""
    deadline = time.monotonic() + BALANCED_SECONDS
    with grpc.insecure_channel(server.address) as channel:
        describe = channel.unary_unary(DESCRIBE)
        while True:
            answer = cluster_pb2.DescribeClusterResponse.FromString(describe(b""))
            found = {one.partition: one.owner for one in answer.holdings if one.WhichOneof("holding") == "partition"}
            shares = Counter(found.values())
            if len(shares) == 2 and "" not in shares and min(shares.values()) >= SHARE:
                return answer.instance_id, found
            if time.monotonic() > deadline:
                raise RuntimeError(f"the instances do not share: {shares}")
            time.sleep(0.2)


def _counter_of(server: Server) -> str:
    """Return the id of a new counter that an instance owns."""
    instance_id, found = owners(server)
    while True:
        counter_id = str(uuid4())
        if found[partition_of(AggregateKey("default", "Counter", counter_id))] == instance_id:
            return counter_id


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "pg_spread": pg_spread,
    "pg_forward": pg_forward,
}
