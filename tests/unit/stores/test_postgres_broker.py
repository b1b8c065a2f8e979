"""Wake-ups by the database's notifications: what commits tell, and what is heard after the connection was lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import asyncpg
import pytest

from comby.server.domain.identity import Position
from comby.server.ports.broker import EVERYTHING, Announcement, Broker
from comby.server.ports.event_store import AcceptCommand
from comby.server.ports.store import Store
from comby.server.stores.postgres import open_postgres, open_postgres_broker
from tests.contract.making import command, finish, park
from tests.postgres_databases import databases
from tests.unit.stores.store_requests import append


@pytest.fixture
def url(tmp_path: Path) -> str:
    return databases().url(tmp_path)


@pytest.fixture
async def broker(url: str) -> AsyncIterator[Broker]:
    async with open_postgres_broker(url, "listener") as opened:
        yield opened


@pytest.fixture
async def heard(broker: Broker) -> AsyncIterator[AsyncIterator[Announcement]]:
    """What the listener hears, from when it listens."""
    announcements = broker.announcements()
    async with asyncio.timeout(20):
        assert await anext(announcements) == EVERYTHING
        yield announcements


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store whose commits are told as another's."""
    async with open_postgres(url, sender="speaker") as opened:
        yield opened


async def test_a_commit_tells_the_head_and_that_commands_ended(
    store: Store, heard: AsyncIterator[Announcement]
) -> None:
    await store.events.commit([append("o-1"), append("o-2")])
    assert await anext(heard) == Announcement(head=Position(2), ended=True)


async def test_an_acceptance_tells_its_partitions(store: Store, heard: AsyncIterator[Announcement]) -> None:
    parked = command()
    await park(store, parked)
    assert await anext(heard) == Announcement(head=Position(0), opened=frozenset({7}), ended=True)
    other = command()
    other.partition = 100
    await store.events.commit([AcceptCommand(command=command()), AcceptCommand(command=other)])
    assert await anext(heard) == Announcement(head=Position(0), opened=frozenset({7, 100}))


async def test_what_changes_nothing_is_not_told(store: Store, heard: AsyncIterator[Announcement]) -> None:
    await store.events.commit([append("o-1", after=5), append("o-1", after=6)])
    await store.events.commit([finish()])
    assert await anext(heard) == Announcement(head=Position(0), ended=True)


async def test_what_one_said_oneself_is_not_heard(
    url: str, store: Store, broker: Broker, heard: AsyncIterator[Announcement]
) -> None:
    async with open_postgres(url, sender="listener") as own:
        await own.events.commit([append("o-1")])
    await broker.announce(Announcement(head=Position(7), released=True))
    await store.events.commit([append("o-2")])
    assert await anext(heard) == Announcement(head=Position(2), ended=True)


async def test_without_a_sender_nothing_is_told(url: str, store: Store, heard: AsyncIterator[Announcement]) -> None:
    async with open_postgres(url) as silent:
        await silent.events.commit([append("o-1")])
    await store.events.commit([append("o-2")])
    assert await anext(heard) == Announcement(head=Position(2), ended=True)


async def test_commits_of_the_only_instance_are_told_to_nobody(
    store: Store, heard: AsyncIterator[Announcement]
) -> None:
    """Seen failing: told although nobody is there. From the first heartbeat that sees another one on, they are told."""
    instances = store.instances
    assert instances is not None
    for number, name in enumerate(["speaker", "other"], 1):
        await instances.join(name, name=name, address="", eligible=True, version="1", partitions=4, duties=())
        await instances.beat("speaker", lease=60.0)
        await store.events.commit([append(f"o-{number}")])

    assert await anext(heard) == Announcement(head=Position(2), ended=True)


async def test_released_holdings_are_told_by_the_broker(url: str, heard: AsyncIterator[Announcement]) -> None:
    async with AsyncExitStack() as stack:
        speaker = await stack.enter_async_context(open_postgres_broker(url, "speaker"))
        listening = speaker.announcements()
        assert await anext(listening) == EVERYTHING
        await speaker.announce(Announcement(head=Position(3), opened=frozenset({1}), ended=True))
        await speaker.announce(Announcement(head=Position(5), released=True))
        assert await anext(heard) == Announcement(head=Position(5), released=True)


async def test_several_may_come_as_one(store: Store, heard: AsyncIterator[Announcement]) -> None:
    for number in range(5):
        await store.events.commit([append(f"o-{number}")])
    head = 0
    while head < 5:
        announced = await anext(heard)
        assert announced.ended
        assert announced.head > head
        head = announced.head


async def test_after_a_lost_connection_anything_may_have_happened(
    url: str, store: Store, heard: AsyncIterator[Announcement]
) -> None:
    operator = await asyncpg.connect(url)
    await operator.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and query ilike 'listen%'"
    )
    await operator.close()
    assert await anext(heard) == EVERYTHING
    await store.events.commit([append("o-1")])
    assert await anext(heard) == Announcement(head=Position(1), ended=True)


async def test_what_is_no_announcement_is_passed_over(
    url: str, store: Store, heard: AsyncIterator[Announcement]
) -> None:
    operator = await asyncpg.connect(url)
    for payload in ("", "x", "a b c d e f g", "speaker one 0 0"):
        await operator.execute("select pg_notify('comby', $1)", payload)
    await operator.close()
    await store.events.commit([append("o-1")])
    assert await anext(heard) == Announcement(head=Position(1), ended=True)


async def test_a_database_that_is_not_there_fails_nobody() -> None:
    async with open_postgres_broker("postgresql://127.0.0.1:1/db", "listener") as broker:
        await broker.announce(EVERYTHING)
        listening = asyncio.ensure_future(anext(broker.announcements()))
        done, _ = await asyncio.wait([listening], timeout=0.3)
        assert not done
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
