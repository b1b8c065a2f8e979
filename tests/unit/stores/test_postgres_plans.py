"""Plans are made once, while tables are empty, and have to be right for large ones."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import asyncpg
import pytest

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandFilter
from comby.server.ports.event_store import AcceptCommand, Committed, EventFilter, Fence, FinishCommand, StartCommand
from comby.server.ports.read_model_store import PutRow, RowQuery
from comby.server.ports.store import Store
from comby.server.stores.postgres import open_postgres
from tests.contract.making import command, finish, order
from tests.postgres_databases import databases
from tests.unit.stores.store_requests import append

BATCH = 500
BATCHES = 12


@pytest.fixture
def url() -> Iterator[str]:
    """A database that nobody has used, and in which nobody analyzes tables."""
    server = databases().server
    server.execute("alter system set autovacuum = off", "select pg_reload_conf()")
    with databases().unused() as found:
        server.execute("select pg_stat_reset()", database=found.rpartition("/")[2])
        yield found
    server.execute("alter system reset autovacuum", "select pg_reload_conf()")


def with_row(aggregate_id: str, *, after: int) -> FinishCommand:
    """Append an event, and write a row with two indexed fields, of which one changes."""
    request = append(aggregate_id, after=after)
    fields = {"status": "open", "total": f"{after:09}"}
    request.states = (PutRow(model="orders", tenant_id="acme", key=aggregate_id, row=b"r", fields=fields, stamp="1"),)
    return request


async def index_tuples(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """Return how many entries of each index were read, by all sessions that have ended."""
    rows = await connection.fetch(
        "select indexrelname, idx_tup_read from pg_stat_user_indexes where schemaname = 'comby' and idx_tup_read > 0"
    )
    return {row["indexrelname"]: row["idx_tup_read"] for row in rows}


async def test_no_statement_of_a_commit_reads_more_than_it_is_about(url: str) -> None:
    """Seen failing: an index on (tenant_id, accept_seq), which the plan for looking up commands took."""
    async with open_postgres(url) as store:
        await _commit_much(store)
    connection = await asyncpg.connect(url)
    read = await index_tuples(connection)
    await connection.close()
    assert read
    requests = 2 * BATCH * BATCHES + BATCH * BATCHES // 2
    assert {name: count for name, count in read.items() if count > 2 * requests} == {}


async def _commit_much(store: Store) -> None:
    for number in range(BATCHES // 2):
        new = [with_row(f"o-{number}-{place}", after=0) for place in range(BATCH)]
        again = [with_row(f"o-{number}-{place}", after=1) for place in range(BATCH)]
        for batch in (new, again):
            other = [AcceptCommand(command=command(aggregate=order("w")))] * (number % 2)  # with it they go another way
            assert {type(verdict) for verdict in (await store.events.commit([*other, *batch]))[number % 2 :]} == {
                Committed
            }
    assert store.instances is not None
    await store.instances.join("i", name="i", address="", eligible=True, version="", partitions=128, duties=())
    fences = {
        partition: Fence(partition, taken.epoch)
        for partition, taken in (await store.instances.take("i", range(128), lease=60)).items()
        if isinstance(partition, int)
    }
    for number in range(BATCHES // 2):
        accepted = [
            replace(command(aggregate=order(f"a-{number}-{place}")), partition=place % 128) for place in range(BATCH)
        ]
        half = accepted[: BATCH // 2]  # the others stay open
        await store.events.commit([AcceptCommand(command=new) for new in accepted])
        await store.events.commit([StartCommand(key=new.key, fence=fences[new.partition]) for new in half])
        await store.events.commit([replace(finish(new.key), fence=fences[new.partition]) for new in half])
        fenced = [replace(with_row(f"f-{number}-{place}", after=0), fence=fences[0]) for place in range(BATCH)]
        assert {type(verdict) for verdict in await store.events.commit(fenced)} == {Committed}


async def test_no_page_reads_more_than_it_is_about(url: str) -> None:
    """Each kind of read is planned while everything is empty, then done over a larger store."""
    async with open_postgres(url) as store:
        for _ in range(6):
            await _read_all_ways(store)
        connection = await asyncpg.connect(url)
        sessions = await _sessions(connection)
        async with open_postgres(url) as beside:
            await _commit_much(beside)
        await _ended(connection, but=sessions)
        before = await index_tuples(connection)
        await _read_all_ways(store)
    await _ended(connection, but={connection.get_server_pid()})
    after = await index_tuples(connection)
    await connection.close()
    read = {name: count - before.get(name, 0) for name, count in after.items()}
    assert {name: count for name, count in read.items() if count > 2_000} == {}


async def _sessions(connection: "asyncpg.Connection[asyncpg.Record]") -> set[int]:
    """Return the sessions that the database has."""
    rows = await connection.fetch("select pid from pg_stat_activity where datname = current_database()")
    return {row["pid"] for row in rows}


async def _ended(connection: "asyncpg.Connection[asyncpg.Record]", *, but: set[int]) -> None:
    """Wait until no other sessions are left: one counts what it read as it ends, after its client has gone."""
    while not await _sessions(connection) <= but:
        await asyncio.sleep(0.01)


async def _read_all_ways(store: Store) -> None:
    key = AggregateKey("acme", "Order", "o-0-1")
    filters = [
        EventFilter(),
        EventFilter(tenant_id="acme"),
        EventFilter(types=frozenset({"Order.Placed"})),
        EventFilter(aggregate=key),
    ]
    for filter in filters:
        for backwards in (False, True):
            await store.events.read(after=Position(0), filter=filter, limit=10, max_bytes=9_999, backwards=backwards)
        await store.events.read_elements(after=Position(0), filter=filter, limit=10, max_bytes=9_999)
    await store.events.read_aggregate(key, after=Version(0), limit=10)
    await store.events.read_history(key, after=Version(0), limit=10)
    await store.events.version(key)
    await store.events.head()
    await store.events.position_before(2**60)
    await store.commands.get_many([CommandKey("acme", str(number)) for number in range(10)])
    await store.commands.list(CommandFilter(tenant_id="acme"), limit=10)
    await store.commands.open_keys(due=0, limit=10)
    await store.commands.open_keys(due=0, limit=10, partitions=range(64))
    await store.commands.open_keys_of_aggregate(key, due=0, limit=10)
    await store.commands.next_due(after=0)
    await store.commands.ended([CommandKey("acme", "1")])
    await store.read_models.get("orders", "acme", "o-0-1")
    for order_by in ("", "total"):
        for filter_by in ({}, {"total": "000000001"}):
            if order_by or not filter_by:
                # Descending: ahead of the others are the entries that were replaced, and nobody has cleaned up here.
                asked = RowQuery(model="orders", tenant_id="acme", order_by=order_by, filter=filter_by, descending=True)
                await store.read_models.list(asked, limit=10)
