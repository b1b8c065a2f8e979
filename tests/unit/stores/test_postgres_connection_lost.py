"""A connection that is lost in the middle of a commit: what became of the batch is found out before anyone is answered."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.errors import StoreIncompatible, StoreUnavailable
from comby.server.ports.event_store import (
    AcceptCommand,
    CommandKnown,
    Committed,
    EventFilter,
    EventStore,
    Verdict,
    VersionConflict,
    Write,
)
from comby.server.ports.store import Store
from comby.server.stores.postgres import open_postgres, writer
from comby.server.stores.postgres.connection import KEEPALIVE
from comby.server.stores.postgres.failures import unavailable
from comby.server.stores.postgres.store import PostgresStore
from tests.contract.making import command
from tests.cut_proxy import Cut, Proxy, proxied
from tests.postgres_databases import databases
from tests.unit.stores.store_requests import append


@pytest.fixture
def url(tmp_path: Path) -> str:
    return databases().url(tmp_path)


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with proxied(databases().server.port) as running:
        yield running


@pytest.fixture
async def store(url: str, proxy: Proxy) -> AsyncIterator[Store]:
    """A store that is reached through the proxy."""
    async with open_postgres(url.replace(str(databases().server.port), str(proxy.port))) as opened:
        await opened.events.commit([append("o-1")])
        yield opened


async def versions(events: EventStore) -> list[tuple[str, int]]:
    page = await events.read(after=Position(0), filter=EventFilter(), limit=1_000, max_bytes=1 << 20)
    assert [event.position for event in page.events] == list(range(1, len(page.events) + 1))
    return [(event.key.aggregate_id, event.version) for event in page.events]


def batch() -> tuple[Sequence[Write], Callable[[Sequence[Verdict]], None]]:
    """Make a batch that is half refused, and what its verdicts have to be."""
    known = command("known")
    writes: list[Write] = [
        append("o-1", after=1),
        append("o-1"),
        AcceptCommand(command=known),
        AcceptCommand(command=known),
        append("o-2"),
    ]

    def check(verdicts: Sequence[Verdict]) -> None:
        kinds = [type(verdict).__name__ for verdict in verdicts]
        assert kinds == ["Committed", "VersionConflict", "CommandAccepted", "CommandKnown", "Committed"]
        first, conflict, _, second, last = verdicts
        assert isinstance(first, Committed)
        assert isinstance(last, Committed)
        assert (first.last, last.last) == (2, 3)
        assert isinstance(conflict, VersionConflict)
        assert [violation.actual for violation in conflict.violations] == [2]
        assert isinstance(second, CommandKnown)
        assert (second.stored.key, second.stored.status) == (known.key, CommandStatus.ACCEPTED)

    return writes, check


def batch_of_new() -> tuple[Sequence[Write], Callable[[Sequence[Verdict]], None]]:
    """Make a batch of nothing but new commands, which goes the short way."""

    def check(verdicts: Sequence[Verdict]) -> None:
        assert [verdict.last for verdict in verdicts if isinstance(verdict, Committed)] == [2, 3]

    return [append("o-1", after=1), append("o-2")], check


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER], ids=["before", "after"])
@pytest.mark.parametrize("made", [batch, batch_of_new], ids=["any", "new"])
async def test_a_cut_commit_is_settled_and_has_one_effect(
    store: Store,
    proxy: Proxy,
    cut: Cut,
    made: Callable[[], tuple[Sequence[Write], Callable[[Sequence[Verdict]], None]]],
) -> None:
    """Seen failing: a batch that is sent again under a new number (its requests are then refused as known)."""
    writes, check = made()
    proxy.cut = cut
    check(await store.events.commit(writes))
    assert proxy.cuts == 1
    assert await versions(store.events) == [("o-1", 1), ("o-1", 2), ("o-2", 1)]


async def test_every_commit_of_many_is_settled(store: Store, proxy: Proxy) -> None:
    for number in range(20):
        proxy.cut = (Cut.BEFORE, Cut.AFTER)[number % 2]
        [verdict] = await store.events.commit([append("o-1", after=number + 1)])
        assert isinstance(verdict, Committed)
        assert verdict.last == number + 2
    assert proxy.cuts == 20
    assert await versions(store.events) == [("o-1", version) for version in range(1, 22)]


async def test_a_backend_that_is_ended_while_it_waits_writes_nothing_twice(store: Store, url: str) -> None:
    """The commit waits for the lock when its backend is ended; the lock is free again while it is settled."""
    operator = await asyncpg.connect(url)
    transaction = operator.transaction()
    await transaction.start()
    await operator.fetchval("select pg_advisory_xact_lock(comby.append_lock())")
    committing = asyncio.create_task(store.events.commit([append("o-1", after=1)]))
    while not await operator.fetchval(WAITING):
        await asyncio.sleep(0.01)
    assert await operator.fetchval(f"select pg_terminate_backend(({WAITING}))")
    await transaction.rollback()
    [verdict] = await committing
    assert isinstance(verdict, Committed)
    assert await versions(store.events) == [("o-1", 1), ("o-1", 2)]
    await operator.close()


WAITING = """
select pid from pg_stat_activity
where datname = current_database() and wait_event = 'advisory' and pid <> pg_backend_pid()
"""


@pytest.mark.parametrize(("cut", "stored"), [(Cut.BEFORE, 1), (Cut.AFTER, 2)], ids=["before", "after"])
async def test_what_can_not_be_settled_is_told_as_unavailable(
    store: Store, url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, cut: Cut, stored: int
) -> None:
    monkeypatch.setattr(writer, "SETTLE_SECONDS", 0.2)
    proxy.cut, proxy.refuses = cut, True
    with pytest.raises(StoreUnavailable):
        await store.events.commit([append("o-1", after=1)])
    with pytest.raises(StoreUnavailable):
        await store.events.commit([append("o-9")])
    async with open_postgres(url) as direct:
        assert len(await versions(direct.events)) == stored
    proxy.refuses = False
    [verdict] = await _when_it_is_back(store, append("o-1", after=stored))
    assert isinstance(verdict, Committed)
    assert await versions(store.events) == [("o-1", version) for version in range(1, stored + 2)]


async def _when_it_is_back(store: Store, write: Write) -> Sequence[Verdict]:
    async with asyncio.timeout(5):
        while True:
            try:
                return await store.events.commit([write])
            except StoreUnavailable:
                await asyncio.sleep(0.05)


async def test_a_batch_that_arrives_after_a_later_one_is_not_decided(store: Store, url: str) -> None:
    """A request that was on its way when its connection was lost, for longer than its writer waited."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "insert into comby.batches (writer, number, head, recorded_at, verdicts, numbers) values ('w', 5, 1, 1, '{}', '{}')"
    )
    for sent in (EMPTY_APPEND, EMPTY_APPEND_NEW):
        for number, code in ((5, None), (4, "CB001")):
            refused = None
            try:
                await connection.fetchrow(sent, number)
            except asyncpg.PostgresError as error:
                refused = error.sqlstate
            assert refused == code
    await connection.close()


EMPTY_APPEND = f"""select * from comby.append('w', $1, '', null, {", ".join(["'{}'"] * 53)}, '')"""
EMPTY_APPEND_NEW = f"""select * from comby.append_new('w', $1, '', null, {", ".join(["'{}'"] * 7)}, '')"""


async def test_batches_that_are_remembered_are_few(store: Store, url: str) -> None:
    for number in range(40):
        await store.events.commit([append("o-1", after=number + 1)])
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("select count(*) from comby.batches") <= 32
    await connection.close()


async def test_readers_go_on_after_their_connections_were_lost(store: Store, proxy: Proxy) -> None:
    await asyncio.gather(*(store.events.head() for _ in range(20)))
    proxy.drop()
    assert await asyncio.gather(*(store.events.head() for _ in range(20))) == [1] * 20
    proxy.cut = Cut.AFTER
    assert await store.commands.get(CommandKey("acme", "unknown")) is None
    assert proxy.cuts == 1


async def test_a_commit_is_done_even_if_its_caller_is_cancelled(store: Store) -> None:
    committing = asyncio.create_task(store.events.commit([append("o-1", after=1)]))
    await asyncio.sleep(0)
    committing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await committing
    [verdict] = await store.events.commit([append("o-1", after=2)])
    assert isinstance(verdict, Committed)
    assert verdict.last == 3


class LateStatement:
    """A connection on which a batch of new commands is written after it was answered that it could not be: as by a statement of a connection
    that was lost, which comes late."""

    def __init__(self, connection: Any, first: str) -> None:
        self._connection = connection
        self._first = first
        self._late: tuple[Any, ...] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetchrow(self, sql: str, *arguments: Any) -> Any:
        if sql == self._first:
            self._late = arguments
            return None, None
        if self._late is not None:
            late, self._late = self._late, None
            await self._connection.fetchrow(self._first, *late)
        return await self._connection.fetchrow(sql, *arguments)


async def test_what_a_late_statement_has_written_is_told_as_written(store: Store) -> None:
    """Seen failing: the batch was found decided, without the verdicts, and nobody in it was ever answered."""
    assert isinstance(store, PostgresStore)
    one = store.session.writer
    one._connection = LateStatement(one._connection, one._sql["append_new"])  # type: ignore[assignment]
    first, second = await store.events.commit([append("o-1", after=1), append("o-2")])
    assert isinstance(first, Committed)
    assert isinstance(second, Committed)
    assert (2, 3) == (first.last, second.last)
    assert [("o-1", 1), ("o-1", 2), ("o-2", 1)] == await versions(store.events)


async def test_a_silent_end_of_a_connection_is_found_by_the_kernel(store: Store) -> None:
    """A failover leaves no sign on old connections. The driver has no option for it: seen failing without ours."""
    assert isinstance(store, PostgresStore)
    way = store.session.writer._connection._transport.get_extra_info("socket")  # type: ignore[union-attr]
    assert 1 == way.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert {name: way.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in KEEPALIVE} == KEEPALIVE


def test_a_database_that_is_away_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Seen failing: each try of everybody had a line."""
    for _ in range(50):
        unavailable(asyncpg.CannotConnectNowError())
        unavailable(StoreIncompatible("it must have synchronous_commit on"))
    assert ["the database failed: CannotConnectNowError, SQLSTATE 57P03", "it must have synchronous_commit on"] == [
        record.getMessage() for record in caplog.records
    ]
