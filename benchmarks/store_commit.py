"""Measure commits of the SQLite store: FinishCommand requests a second by batch size, beside idle and busy Python.

Each request has one check, one event, one command and one row with two indexed fields, as one of a real domain has.
The busy main thread runs Python without a pause: the worst case for a writer thread that shares its interpreter.

    python benchmarks/store_commit.py [--seconds 2] [--directory DIR] [--switch-interval 0.005]
"""

import argparse
import asyncio
import itertools
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import uuid_utils

from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import Committed, FinishCommand, NewEvent, VersionCheck
from comby.server.ports.read_model_store import PutRow
from comby.server.ports.store import Store
from comby.server.stores.sqlite import open_sqlite

BATCHES = (1, 16, 64, 256)
AGGREGATES = 5_000
RECORD, STATE, COMMAND = random.randbytes(300), random.randbytes(300), random.randbytes(200)


def requests() -> Iterator[FinishCommand]:
    """Yield requests on aggregates taken at random."""
    versions = {str(uuid.uuid4()): 0 for _ in range(AGGREGATES)}
    ids = list(versions)
    for number in itertools.count():
        aggregate_id = random.choice(ids)
        version = versions[aggregate_id] = versions[aggregate_id] + 1
        yield request(AggregateKey("default", "Order", aggregate_id), Version(version), number)


def request(key: AggregateKey, version: Version, number: int) -> FinishCommand:
    """Make one request."""
    request_id = str(uuid_utils.uuid7())
    command = NewCommand(
        key=CommandKey("default", request_id),
        aggregate=key,
        partition=0,
        fingerprint=COMMAND[:32],
        type="Order.PayOrder",
        command=COMMAND,
        context=COMMAND[:60],
        expected_version=None,
        not_before=None,
    )
    return FinishCommand(
        command=command,
        status=CommandStatus.EXECUTED,
        outcome=COMMAND[:120],
        version=version,
        checks=(VersionCheck(key, Version(version - 1)),),
        events=(NewEvent(key=key, version=version, type="Order.OrderPaid", request_id=request_id, record=RECORD),),
        states=(
            PutRow(
                model="Order",
                tenant_id="default",
                key=key.aggregate_id,
                row=STATE,
                fields={"status": "paid", "total": f"{number:010}"},
                stamp="1",
                version=version,
            ),
        ),
    )


async def commit_for(store: Store, source: Iterator[FinishCommand], size: int, seconds: float) -> float:
    """Commit batches of this size, made before the clock runs; return requests a second."""
    spent = 0.0
    done = 0
    while spent < seconds:
        batch = list(itertools.islice(source, size))
        begun = time.perf_counter()
        verdicts = await store.events.commit(batch)
        spent += time.perf_counter() - begun
        assert all(isinstance(verdict, Committed) for verdict in verdicts)
        done += size
    return done / spent


def in_thread(url: str, seconds: float, label: str) -> threading.Thread:
    """Run the measurement beside the main thread, so that it can be idle or busy."""

    async def measure() -> None:
        async with open_sqlite(url) as store:
            source = requests()
            for size in BATCHES:
                rate = await commit_for(store, source, size, seconds)
                print(f"{label:8} batch {size:4}: {rate:8.0f} commands/s", flush=True)

    thread = threading.Thread(target=lambda: asyncio.run(measure()))
    thread.start()
    return thread


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--directory", type=Path, default=None)
    parser.add_argument("--switch-interval", type=float, default=sys.getswitchinterval())
    options = parser.parse_args()
    sys.setswitchinterval(options.switch_interval)
    with tempfile.TemporaryDirectory(dir=options.directory) as directory:
        in_thread(f"sqlite:///{directory}/idle.db", options.seconds, "idle").join()
        busy = in_thread(f"sqlite:///{directory}/busy.db", options.seconds, "busy")
        while busy.is_alive():
            sum(number * number for number in range(1_000))


if __name__ == "__main__":
    main()
