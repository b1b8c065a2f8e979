"""The price of order: commits under the lock that gives the log one order, against the same commits without it.

Without the lock, a batch takes its positions from a sequence, as many stores do: a reader may then see a later position before an earlier
one, and skip it. Every process has a writer and a connection of its own.
"""

import json
import subprocess
import sys

import asyncpg

from benchmarks.postgres import Database
from benchmarks.processes import ROOT, environment
from benchmarks.table import Sample
from tests.postgres_server import run

CALLERS = 64
"""Of each process."""
FUNCTIONS = ("comby.append", "comby.append_new")
WITHOUT = {
    "perform pg_advisory_xact_lock(comby.append_lock());": "",
    "head := stored.head;": "head := nextval('public.unordered');",
}
"""What both append functions say, and what they say without order."""
SEQUENCE = "create sequence public.unordered increment 100000 start 100000"
"""A batch is never as long as the sequence's steps."""


def without_order(url: str) -> None:
    """Take the lock out of a database's append functions. Raises LookupError when one is not what it was."""

    async def change() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(SEQUENCE)
        for function in FUNCTIONS:
            source = await connection.fetchval("select pg_get_functiondef($1::regproc)", function)
            for said, says in WITHOUT.items():
                if source.count(said) != 1:
                    raise LookupError(said)
                source = source.replace(said, says)
            await connection.execute(source)
        await connection.close()

    run(change())


def committing(database: Database, url: str, processes: int, seconds: float) -> Sample:
    """Return the rate of all processes together, which begin at the same time."""
    command = [sys.executable, "-m", "benchmarks.committers", url, str(CALLERS), str(seconds), "together"]
    started = [
        subprocess.Popen(command, env=environment(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    for process in started:
        assert process.stdout is not None
        assert "ready\n" == process.stdout.readline()
    before = database.cpu_seconds()
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    results = [_result(process) for process in started]
    count = sum(one["operations"] for one in results)
    rate = sum(one["operations"] / one["seconds"] for one in results)
    return Sample(rate=rate, database_cpu=(database.cpu_seconds() - before) / count * 1e6)


def _result(process: "subprocess.Popen[str]") -> dict[str, float]:
    told, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    result: dict[str, float] = json.loads(told)
    return result


def two_stores(database: Database) -> tuple[str, str]:
    """Return the URLs of two new stores: with order, and without."""
    ordered = database.create("ordered")
    committing(database, ordered, 1, 0.1)  # makes the tables
    unordered = database.create("unordered", template="ordered")
    without_order(unordered)
    return ordered, unordered
