"""The database goes away and comes back: nothing acknowledged is lost, nobody hangs, and the store is there again by itself."""

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import Committed, EventFilter
from comby.server.ports.store import Store
from comby.server.stores.postgres import connection, open_postgres, readers, writer
from tests.postgres_server import PostgresServer
from tests.unit.stores.store_requests import append

BACK_SECONDS = 5.0
STOPS = 3


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server that may be stopped."""
    running = PostgresServer()
    yield running
    running.close()


async def commit_until(store: Store, ended: asyncio.Event, acknowledged: list[CommandKey], lane: int) -> None:
    """Commit one event after the other to an aggregate of its own; what is refused as unavailable is sent again."""
    version = 0
    while not ended.is_set():
        request = append(f"o-{lane}", after=version)
        assert not isinstance(request.command, CommandKey)
        try:
            [verdict] = await store.events.commit([request])
        except StoreUnavailable:
            version, _ = await _when_it_answers(store, lane)
            continue
        assert isinstance(verdict, Committed)
        acknowledged.append(request.command.key)
        version += 1


async def _when_it_answers(store: Store, lane: int) -> tuple[int, bool]:
    while True:
        try:
            return await store.events.version(append(f"o-{lane}").checks[0].key)
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def test_nothing_acknowledged_is_lost_by_stops_without_warning(server: PostgresServer) -> None:
    acknowledged: list[CommandKey] = []
    ended = asyncio.Event()
    async with open_postgres(server.url()) as store, asyncio.TaskGroup() as group:
        for lane in range(8):
            group.create_task(commit_until(store, ended, acknowledged, lane))
        for _ in range(STOPS):
            before = len(acknowledged)
            while len(acknowledged) < before + 50:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop, signal.SIGQUIT)
            await asyncio.to_thread(server.start)
            back = time.monotonic()
            before = len(acknowledged)
            while len(acknowledged) == before:
                assert time.monotonic() - back < BACK_SECONDS
                await asyncio.sleep(0.01)
        ended.set()
    async with open_postgres(server.url()) as store:
        stored = await store.commands.get_many(acknowledged)
        page = await store.events.read(after=Position(0), filter=EventFilter(), limit=100_000, max_bytes=1 << 28)
    assert set(stored) == set(acknowledged)
    assert [event.position for event in page.events] == list(range(1, len(page.events) + 1))
    versions: dict[str, int] = {}
    for event in page.events:
        assert event.version == versions.get(event.key.aggregate_id, 0) + 1
        versions[event.key.aggregate_id] = event.version
    assert len(page.events) >= len(acknowledged)
    print(f"{STOPS} stops, {len(acknowledged)} acknowledged commands, {len(page.events)} events")


async def test_while_the_database_is_away_nobody_hangs(server: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "SETTLE_SECONDS", 0.5)
    async with open_postgres(server.url()) as store:
        await store.events.commit([append("o-1")])
        await asyncio.gather(*(store.events.head() for _ in range(20)))
        server.stop()
        for _ in range(2):
            begun = time.monotonic()
            answers = await asyncio.gather(
                store.events.commit([append("o-2")]),
                store.events.head(),
                store.commands.count_open(),
                store.checkpoints.consumers(),
                store.read_models.get("m", "t", "k"),
                *(store.events.version(append("o-1").checks[0].key) for _ in range(50)),
                return_exceptions=True,
            )
            assert {type(answer) for answer in answers} == {StoreUnavailable}
            assert time.monotonic() - begun < 2
        server.start()
        back = time.monotonic()
        assert await _head_when_it_answers(store) == 1
        assert time.monotonic() - back < BACK_SECONDS


async def _head_when_it_answers(store: Store) -> int:
    while True:
        try:
            return await store.events.head()
        except StoreUnavailable:
            await asyncio.sleep(0.02)


async def test_a_database_that_answers_nothing_is_given_up(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its machine is paused: connections stay, and nothing comes back."""
    monkeypatch.setattr(connection, "COMMAND_SECONDS", 0.5)
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.3)
    monkeypatch.setattr(writer, "SETTLE_SECONDS", 0.5)
    monkeypatch.setattr(readers, "TURN_SECONDS", 1.0)
    async with open_postgres(server.url()) as store:
        await store.events.commit([append("o-1")])
        server.signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            answers = await asyncio.gather(
                store.events.commit([append("o-2")]),
                *(store.events.head() for _ in range(20)),
                return_exceptions=True,
            )
            assert {type(answer) for answer in answers} == {StoreUnavailable}
            assert time.monotonic() - begun < 5
        finally:
            server.signal(signal.SIGCONT)
        assert await _head_when_it_answers(store) in (1, 2)
