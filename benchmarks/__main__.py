"""`make bench`: prints the table. Every ratio is of two measurements that alternate in the same run, the median of the rounds.

The hardware is shared and noisy, so the rates mean little and the ratios more. Nothing fails when a bar is missed: it is said.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT, Server, bare, comby, environment, load

REPLAY_EVENTS = 200_000
COLD_EVENTS = 1_000


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table. `cpu` is the server's processor time for one operation, in microseconds."""

    what: str
    against: str
    limit: float
    ours: float
    ratio: float
    bar: str
    cpu: float | None
    met: bool | None

    def __str__(self) -> str:
        cpu = "–" if self.cpu is None else f"{self.cpu:,.0f}"
        met = "" if self.met is None else "met" if self.met else "MISSED"
        return f"| {self.what} | {self.against} | {self.limit:,.1f} | {self.ours:,.1f} | {self.ratio:.2f} | {self.bar} | {cpu} | {met} |"


def main() -> None:
    """Measure what the command line names, or everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("only", nargs="*", choices=[*MEASUREMENTS, []])
    options = parser.parse_args()
    print("| what | against | limit | ours | ratio | bar | server CPU µs/op | |")
    print("|---|---|---|---|---|---|---|---|")
    for name, measure in MEASUREMENTS.items():
        if not options.only or name in options.only:
            for row in measure(options):
                print(row, flush=True)


def commands(options: argparse.Namespace) -> Iterator[Row]:
    """Unary and pipelined commands against a server that stores nothing, and an idle server's memory."""
    with (
        tempfile.TemporaryDirectory() as folder,
        bare("receipt") as empty,
        bare("edge") as limit,
        comby(Path(folder)) as ours,
    ):
        idle = ours.rss_mib()
        rates: dict[str, list[float]] = {"empty": [], "limit": [], "unary": [], "pipeline": []}
        cpus: dict[str, list[float]] = {"empty": [], "limit": [], "unary": [], "pipeline": []}
        for _ in range(options.rounds):
            for name, server, kind, in_flight in (
                ("empty", empty, "unary", 64),
                ("limit", limit, "unary", 64),
                ("unary", ours, "unary", 64),
                ("pipeline", ours, "pipeline", 1000),
            ):
                rate, cpu = _rate(server, kind, seconds=options.seconds, in_flight=in_flight)
                rates[name].append(rate)
                cpus[name].append(cpu)
        unary = _ratio(rates["unary"], rates["limit"])
        yield _row(
            "unary typed command, wait=executed",
            "the same server without a store",
            rates["limit"],
            rates["unary"],
            unary,
            0.60,
            cpus["unary"],
        )
        bare_ratio = _ratio(rates["unary"], rates["empty"])
        yield Row(
            "the same",
            "a bare grpc.aio handler",
            statistics.median(rates["empty"]),
            statistics.median(rates["unary"]),
            bare_ratio,
            "–",
            statistics.median(cpus["unary"]),
            None,
        )
        pipe = _ratio(rates["pipeline"], rates["unary"])
        yield _row(
            "DispatchCommands, wait=executed",
            "the unary rate",
            rates["unary"],
            rates["pipeline"],
            pipe,
            4.0,
            cpus["pipeline"],
        )
        yield Row("idle server, MiB RSS", "–", 120, idle, idle / 120, "≤ 1", None, idle <= 120)


def replay(options: argparse.Namespace) -> Iterator[Row]:
    """Replay of the log to one subscriber against ready batches of 100."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.seed", str(Path(folder, "bench.db")), str(REPLAY_EVENTS)],
            env=environment(),
            cwd=ROOT,
            check=True,
        )
        with bare("batches", str(REPLAY_EVENTS)) as limit, comby(Path(folder)) as ours:
            limits, rates, cpus = [], [], []
            for _ in range(options.rounds):
                limits.append(_rate(limit, "replay")[0])
                rate, cpu = _rate(ours, "replay")
                rates.append(rate)
                cpus.append(cpu)
        yield _row(
            "replay of 200,000 events, events/s",
            "ready batches of 100",
            limits,
            rates,
            _ratio(rates, limits),
            0.50,
            cpus,
        )


def cold_load(options: argparse.Namespace) -> Iterator[Row]:
    """Cold load of an aggregate against the peer."""
    peers, ours, states = [], [], []
    for _ in range(options.rounds):
        peers.append(_per_second(_json("benchmarks.peer_eventsourcing", "load", str(COLD_EVENTS), "20")))
        ours.append(_per_second(_json("benchmarks.cold_load", str(COLD_EVENTS), "50")))
        states.append(_per_second(_json("benchmarks.cold_load", str(COLD_EVENTS), "50", "state")))
    yield _row(
        "cold load of 1,000 events, folding each, loads/s",
        "eventsourcing, SQLite",
        peers,
        ours,
        _ratio(ours, peers),
        5.0,
        None,
    )
    yield _row(
        "the same from the stored state", "eventsourcing, SQLite", peers, states, _ratio(states, peers), 5.0, None
    )


def add(options: argparse.Namespace) -> Iterator[Row]:
    """Load, one event and save: through gRPC with 64 callers, against the peer in process."""
    with tempfile.TemporaryDirectory() as folder, comby(Path(folder)) as server:
        peers, ours, cpus = [], [], []
        for _ in range(options.rounds):
            peers.append(_per_second(_json("benchmarks.peer_eventsourcing", "add", str(options.seconds))))
            rate, cpu = _rate(server, "add", seconds=options.seconds)
            ours.append(rate)
            cpus.append(cpu)
        yield _row(
            "load + 1 event + save, gRPC, 64 callers",
            "eventsourcing in process",
            peers,
            ours,
            _ratio(ours, peers),
            1.5,
            cpus,
        )


MEASUREMENTS: dict[str, Callable[[argparse.Namespace], Iterator[Row]]] = {
    "commands": commands,
    "replay": replay,
    "cold_load": cold_load,
    "add": add,
}


def _rate(server: Server, kind: str, **options: object) -> tuple[float, float]:
    """Return operations per second, and the server's processor time for one, in microseconds."""
    before = server.cpu_seconds()
    result = load(kind, server.address, **options)
    return _per_second(result), (server.cpu_seconds() - before) / result["operations"] * 1e6


def _json(module: str, *arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment(), cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _per_second(result: dict[str, Any]) -> float:
    return float(result["operations"]) / float(result["seconds"])


def _ratio(ours: list[float], limits: list[float]) -> float:
    """Return the median of the rounds' ratios: both sides of a round ran next to each other."""
    return statistics.median(one / limit for one, limit in zip(ours, limits, strict=True))


def _row(
    what: str, against: str, limits: list[float], ours: list[float], ratio: float, bar: float, cpus: list[float] | None
) -> Row:
    cpu = statistics.median(cpus) if cpus else None
    return Row(
        what, against, statistics.median(limits), statistics.median(ours), ratio, f"≥ {bar:g}", cpu, ratio >= bar
    )


if __name__ == "__main__":
    main()
