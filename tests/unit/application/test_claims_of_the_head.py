"""What others say of the head is looked up in the store, and never believed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from comby.server.application.event_bus import EventBus
from comby.server.application.limits import Limits
from comby.server.application.log_tail import POLL_SECONDS, LogTail
from comby.server.domain.identity import Position
from comby.server.ports.store import Store
from comby.server.stores.sqlite import open_sqlite
from tests.contract.making import append, committed, order

FORGED = Position(2**62)


class Reads:
    """Counts how often the store is read."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.count = 0

    async def read(self, **which: object) -> object:
        """Read as the store does."""
        self.count += 1
        return await self.store.events.read(**which)  # type: ignore[arg-type]


@pytest.fixture
async def followed(tmp_path: Path) -> AsyncIterator[tuple[Store, EventBus, LogTail, Reads]]:
    """A store that another process writes to, and a tail that follows it."""
    async with open_sqlite(f"sqlite:///{tmp_path}/store.db") as store:
        bus, reads = EventBus(Position(0)), Reads(store)
        tail = LogTail(reads, bus, Limits(), _nothing)  # type: ignore[arg-type]
        task = asyncio.create_task(tail.run())
        await bus.moved(0.05)
        yield store, bus, tail, reads
        task.cancel()


async def test_a_true_claim_is_followed_at_once(followed: tuple[Store, EventBus, LogTail, Reads]) -> None:
    store, bus, tail, _ = followed
    for head in range(1, 20):
        await committed(store, append(order(f"o-{head}")))
        bus.hear(Position(head))
        assert await tail.level.above(Position(head - 1), timeout=POLL_SECONDS / 2)
    await committed(store, append(order("last")))
    bus.hear(Position(0))  # anything may have happened
    assert await tail.level.above(Position(19), timeout=POLL_SECONDS / 2)


async def test_a_false_claim_costs_a_look_and_moves_nothing(followed: tuple[Store, EventBus, LogTail, Reads]) -> None:
    store, bus, tail, reads = followed
    before = reads.count
    end = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < end:
        bus.hear(FORGED)
        await asyncio.sleep(0)
    assert (0, 0) == (bus.position, tail.level.position)
    assert reads.count - before < 20
    await committed(store, append(order("o-1")))
    assert await tail.level.above(Position(0), timeout=2 * POLL_SECONDS)


def _nothing(events: Sequence[object]) -> None:
    pass
