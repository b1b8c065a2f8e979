"""A process that is killed loses nothing that it acknowledged, and leaves nothing half done."""

import random
import subprocess
import sys
import time
from pathlib import Path

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.ports.store import Store
from comby.server.stores.sqlite import open_sqlite

CHILD = Path(__file__).with_name("crashing_child.py")
KILLS = 20
SEED = 20261123


def acknowledged_before_kill(url: str, chance: random.Random) -> list[str]:
    """Let a child commit for a while, kill it, and return the request ids that it acknowledged."""
    child = subprocess.Popen(
        [sys.executable, str(CHILD), url, str(chance.randrange(1 << 30))], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "open\n"
    lines = [child.stdout.readline() for _ in range(chance.randint(1, 30))]
    time.sleep(chance.random() * 0.02)  # the moment of death, anywhere in a commit; nothing waits for it
    child.kill()
    lines.extend(child.stdout)
    child.wait()
    child.stdout.close()
    return [request_id for line in lines if line.endswith("\n") for request_id in line.split()]


async def whole_log(store: Store) -> list[StoredEvent]:
    found: list[StoredEvent] = []
    while len(found) < await store.events.head():
        after = Position(len(found))
        page = await store.events.read(after=after, filter=EventFilter(), limit=1_000, max_bytes=1 << 20)
        found.extend(page.events)
    return found


async def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    url = f"sqlite:///{tmp_path / 'store.db'}"
    acknowledged: list[str] = []
    for _ in range(KILLS):
        acknowledged += acknowledged_before_kill(url, chance)
        async with open_sqlite(url) as store:
            assert store.events.unclean
            log = await whole_log(store)
            found = await store.commands.get_many([CommandKey("acme", request_id) for request_id in acknowledged])
        assert len(found) == len(acknowledged)
        assert [event.position for event in log] == list(range(1, len(log) + 1))
        assert_versions_have_no_gap(log)
        assert len(log) >= 2 * len(acknowledged)
        assert len(log) % 2 == 0, "a command has half of its events"
    print(f"seed {SEED}: {KILLS} kills, {len(acknowledged)} acknowledged commands, {len(log)} events")


def assert_versions_have_no_gap(log: list[StoredEvent]) -> None:
    versions: dict[str, int] = {}
    for event in log:
        aggregate_id = event.key.aggregate_id
        assert event.version == versions.get(aggregate_id, 0) + 1
        versions[aggregate_id] = event.version


async def test_an_orderly_close_is_clean(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    for _ in range(2):
        async with open_sqlite(url) as store:
            assert not store.events.unclean
