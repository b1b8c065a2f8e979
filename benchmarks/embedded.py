"""The measurements of the embedded server: SQLite in a file, one process."""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.processes import ROOT, bare, comby, environment, measured, sample
from benchmarks.table import Row, Sample, bounded, compared

REPLAY_EVENTS = 200_000
COLD_EVENTS = 1_000
IDLE_MIB = 120


def commands(options: argparse.Namespace) -> Iterator[Row]:
    """Unary and pipelined commands against a server that stores nothing, and an idle server's memory."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bare("receipt") as empty,
        bare("edge") as limit,
        comby(f"sqlite:///{Path(folder, 'bench.db')}") as ours,
    ):
        idle = ours.rss_mib()
        samples: dict[str, list[Sample]] = {"empty": [], "limit": [], "unary": [], "pipeline": []}
        for _ in range(options.rounds):
            for name, server, kind, in_flight in (
                ("empty", empty, "unary", 64),
                ("limit", limit, "unary", 64),
                ("unary", ours, "unary", 64),
                ("pipeline", ours, "pipeline", 1000),
            ):
                samples[name].append(sample(server, kind, seconds=options.seconds, in_flight=in_flight))
        what, unary = "unary typed command, wait=executed", samples["unary"]
        yield compared(what, "the same server without a store", samples["limit"], unary, least=0.60)
        yield compared("the same", "a bare grpc.aio handler", samples["empty"], unary, least=None)
        yield compared("DispatchCommands, wait=executed", "the unary rate", unary, samples["pipeline"], least=4)
        yield bounded("idle server, MiB RSS", "–", [idle], most=IDLE_MIB)


def replay(options: argparse.Namespace) -> Iterator[Row]:
    """Replay of the log to one subscriber against ready batches of 100."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.seed", str(Path(folder, "bench.db")), str(REPLAY_EVENTS)],
            env=environment(),
            cwd=ROOT,
            check=True,
        )
        url = f"sqlite:///{Path(folder, 'bench.db')}"
        with bare("batches", str(REPLAY_EVENTS)) as limit, comby(url) as ours:
            limits, rates = [], []
            for _ in range(options.rounds):
                limits.append(sample(limit, "replay"))
                rates.append(sample(ours, "replay"))
        yield compared("replay of 200,000 events, events/s", "ready batches of 100", limits, rates, least=0.50)


def cold_load(options: argparse.Namespace) -> Iterator[Row]:
    """Cold load of an aggregate against the peer."""
    peers, ours, states = [], [], []
    for _ in range(options.rounds):
        peers.append(measured("benchmarks.peer_eventsourcing", "load", str(COLD_EVENTS), "20"))
        ours.append(measured("benchmarks.cold_load", str(COLD_EVENTS), "50"))
        states.append(measured("benchmarks.cold_load", str(COLD_EVENTS), "50", "state"))
    peer = "eventsourcing, SQLite"
    yield compared("cold load of 1,000 events, folding each, loads/s", peer, peers, ours, least=5)
    yield compared("the same from the stored state", peer, peers, states, least=5)


def add(options: argparse.Namespace) -> Iterator[Row]:
    """Load, one event and save: through gRPC with 64 callers, against the peer in process."""
    with tempfile.TemporaryDirectory() as folder, comby(f"sqlite:///{Path(folder, 'bench.db')}") as server:
        peers, ours = [], []
        for _ in range(options.rounds):
            peers.append(measured("benchmarks.peer_eventsourcing", "add", str(options.seconds)))
            ours.append(sample(server, "add", seconds=options.seconds))
        yield compared("load + 1 event + save, gRPC, 64 callers", "eventsourcing in process", peers, ours, least=1.5)


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "commands": commands,
    "replay": replay,
    "cold_load": cold_load,
    "add": add,
}
