"""Rows A1 and A2: commit order is position order, so a reader that goes on after the last position it saw misses nothing."""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from comby.server.domain.identity import Position
from comby.server.ports.event_store import Committed, EventFilter, StoredEvent
from comby.server.ports.store import Store
from comby.server.stores.postgres import open_postgres
from comby.server.stores.postgres.connection import close, connect
from tests.contract.making import append, order
from tests.postgres_databases import databases
from tests.reliability.conftest import Report
from tests.reliability.held_commit import Abort, held

ROOT = Path(__file__).parents[2]
INTERLEAVINGS = 50
PROCESSES, WRITERS, READERS = 2, 8, 3


@pytest.fixture
def url(tmp_path: Path) -> str:
    """An empty database."""
    return databases().url(tmp_path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one process of writers says that it did: the last version of each aggregate, and how many commits were no ordinary ones."""

    versions: dict[str, int]
    held: int = 0
    aborted: int = 0


class Reader:
    """Polls the log, and goes on after the last position that it saw."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.seen: list[StoredEvent] = []
        self.after = Position(0)

    async def poll(self, limit: int = 1_000) -> int:
        """Read one page; return how many events it had."""
        page = await self._store.events.read(after=self.after, filter=EventFilter(), limit=limit, max_bytes=1 << 20)
        self.seen += page.events
        self.after = page.through
        return len(page.events)

    def positions(self) -> list[int]:
        """Return the positions that were seen, in the order in which they were."""
        return [event.position for event in self.seen]


@pytest.mark.parametrize("long", [False], ids=["50"])
async def test_a1_a_reader_sees_both_commits_in_order(url: str, seed: int, report: Report) -> None:
    """One commit is held open, or given up, while another one is sent; the reader polls before, between and after.

    Seen failing: the append without its lock (the second commit takes the positions of the first).
    """
    chance = random.Random(seed)
    after = Counter[str]()
    aborted = 0
    slow = await connect(url)
    async with open_postgres(url) as other, open_postgres(url) as third:
        reader = Reader(third)
        for _ in range(INTERLEAVINGS):
            sizes = {"slow": chance.randint(1, 3), "quick": chance.randint(1, 3)}
            gives_up = chance.random() < 0.2
            begun = len(reader.seen)
            async with held(
                slow, other.events.identity, [append(order("slow"), sizes["slow"], after=after["slow"])]
            ) as [first]:
                assert isinstance(first, Committed)
                quick = append(order("quick"), sizes["quick"], after=after["quick"])
                committing = asyncio.create_task(other.events.commit([quick]))
                for _ in range(chance.randint(1, 3)):
                    await asyncio.sleep(chance.random() * 0.005)  # so that the second one is anywhere on its way
                    assert await reader.poll() == 0
                if gives_up:
                    aborted += 1
                    raise Abort
            if not gives_up:
                after["slow"] += sizes["slow"]
            await reader.poll()
            [second] = await committing
            assert isinstance(second, Committed)
            after["quick"] += sizes["quick"]
            while await reader.poll():
                pass
            names = [event.key.aggregate_id for event in reader.seen[begun:]]
            assert names == ["slow"] * (0 if gives_up else sizes["slow"]) + ["quick"] * sizes["quick"]
        assert reader.positions() == list(range(1, after.total() + 1))
    await close(slow)
    report("A1", interleavings=INTERLEAVINGS, seen_in_order=INTERLEAVINGS, given_up=aborted, events=after.total())


async def test_a2_no_reader_misses_what_many_write(url: str, long: bool, seed: int, report: Report) -> None:
    """Writers in two processes, some slow and some in vain, and readers that poll meanwhile.

    Seen failing: the append without its lock (a commit that takes taken positions is refused).
    """
    events = 50_000 if long else 3_000
    async with open_postgres(url) as store:
        writing = [
            asyncio.create_task(run_writer(url, f"p{number}", events // PROCESSES, seed)) for number in range(PROCESSES)
        ]
        readers = [Reader(store) for _ in range(READERS)]
        polling = [
            asyncio.create_task(poll_until_done(reader, writing, random.Random(f"{seed}-{number}")))
            for number, reader in enumerate(readers)
        ]
        tallies = [await process for process in writing]
        polls = [await task for task in polling]
        head = await store.events.head()
    acknowledged: dict[str, int] = {}
    for tally in tallies:
        acknowledged |= tally.versions
    for reader in readers:
        assert reader.positions() == list(range(1, head + 1))
        versions: dict[str, int] = {}
        for event in reader.seen:
            assert event.version == versions.get(event.key.aggregate_id, 0) + 1
            versions[event.key.aggregate_id] = event.version
        assert versions == acknowledged
    assert head >= events
    report(
        "A2",
        writers=PROCESSES * WRITERS,
        events=head,
        held=sum(tally.held for tally in tallies),
        aborted=sum(tally.aborted for tally in tallies),
        readers=READERS,
        polls=sum(polls),
        lost=0,
        doubled=0,
        holes=0,
        disorder=0,
    )


async def run_writer(url: str, name: str, events: int, seed: int) -> Tally:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.reliability.log_writer",
        url,
        name,
        str(WRITERS),
        str(events),
        str(seed),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return Tally(**json.loads(output))


async def poll_until_done(reader: Reader, writing: Sequence[asyncio.Task[Tally]], chance: random.Random) -> int:
    """Poll while anybody writes, then to the end; return how often."""
    polls = 0
    while True:
        done = all(task.done() for task in writing)
        found = await reader.poll(limit=chance.randint(1, 50))
        polls += 1
        if not found:
            if done:
                return polls
            await asyncio.sleep(chance.random() * 0.003)
