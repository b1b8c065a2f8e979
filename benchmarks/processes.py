"""The processes of a measurement: servers and load generators, each a process of its own, as in real use."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from benchmarks.table import Sample

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30.0
STOP_SECONDS = 15.0


class Clock(Protocol):
    """What uses processor time."""

    def cpu_seconds(self) -> float:
        """Return what was used so far, in seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it listens, and what it has used."""

    address: str
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """Return the processor time used so far, in seconds, by the process and those that it has started."""
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(one.user + one.system for one in times))

    def rss_mib(self) -> float:
        """Return the resident memory, in MiB, of the process and those that it has started."""
        return float(sum(process.memory_info().rss for process in self._processes())) / 2**20

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def comby(store: str) -> Iterator[Server]:
    """Run `comby serve` on a store, with its settings as they are."""
    command = ["-m", "comby.server.cli", "serve", "--app", "benchmarks.app:app", "--listen", "127.0.0.1:0"]
    with _running([*command, "--store", store]) as server:
        yield server


@contextmanager
def bare(kind: str, *arguments: str) -> Iterator[Server]:
    """Run one of the servers of `benchmarks.bare_servers`."""
    with _running(["-m", "benchmarks.bare_servers", kind, *arguments]) as server:
        yield server


def load(kind: str, address: str, **options: object) -> dict[str, Any]:
    """Run a load generator of `benchmarks.load` to its end and return what it measured."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return run("benchmarks.load", kind, address, *flags)


def run(module: str, *arguments: str) -> dict[str, Any]:
    """Run a module to its end and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=environment(), cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def measured(module: str, *arguments: str, database: Clock | None = None) -> Sample:
    """Run a module that prints operations and seconds."""
    before = _spent([database])
    result = run(module, *arguments)
    spent = None if database is None else (_spent([database]) - before) / result["operations"] * 1e6
    return Sample(rate=result["operations"] / result["seconds"], database_cpu=spent)


def sample(server: Server | Sequence[Server], kind: str, *, database: Clock | None = None, **options: object) -> Sample:
    """Run a load generator against a server, or against several at once, whose processor time is added up."""
    servers = [server] if isinstance(server, Server) else server
    clocks: list[Clock] = [*servers]
    before = _spent(clocks), _spent([database])
    result = load(kind, ",".join(one.address for one in servers), **options)
    spent, of_database = _spent(clocks) - before[0], _spent([database]) - before[1]
    each = 1e6 / result["operations"]
    return Sample(
        rate=result["operations"] / result["seconds"],
        cpu=spent * each,
        database_cpu=None if database is None else of_database * each,
    )


def _spent(clocks: Sequence[Clock | None]) -> float:
    return sum(one.cpu_seconds() for one in clocks if one is not None)


def environment() -> dict[str, str]:
    """Return the environment of child processes."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"}


@contextmanager
def _running(command: list[str]) -> Iterator[Server]:
    process = subprocess.Popen(
        [sys.executable, *command],
        env=environment(),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if " on " not in line:
            raise RuntimeError(f"no server: {process.communicate(timeout=STOP_SECONDS)[1][-2000:]}")
        yield Server(line.split(" on ")[1].split()[0], psutil.Process(process.pid))
    finally:
        process.terminate()
        try:
            process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
