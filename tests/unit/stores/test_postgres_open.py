"""What opening a PostgreSQL store refuses, and what it keeps."""

import asyncio
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from comby.server.ports.errors import StoreIncompatible, StoreUnavailable
from comby.server.stores.postgres import open_postgres, renew_incarnation
from comby.server.stores.postgres.statements import migrations
from tests.postgres_databases import databases
from tests.postgres_server import PostgresServer
from tests.unit.stores.store_requests import append


@pytest.fixture
def server() -> PostgresServer:
    """The server of this process."""
    return databases().server


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with the schema."""
    return databases().url(tmp_path)


@pytest.fixture
def empty(server: PostgresServer) -> Iterator[str]:
    """A database without anything."""
    server.execute("drop database if exists blank with (force)")
    yield server.create("blank", template="template0")
    server.execute("drop database if exists blank with (force)", "drop role if exists plain")


async def refusal(url: str) -> str:
    """Open a store that is to be refused, and return why it was."""
    with pytest.raises(StoreIncompatible) as refused:
        async with open_postgres(url):
            pass
    assert refused.value.__cause__ is None
    return str(refused.value)


async def test_a_store_is_the_same_when_it_is_opened_again(url: str) -> None:
    async with open_postgres(url) as store:
        identity = store.events.identity
        await store.events.commit([append("o-1"), append("o-2")])
    async with open_postgres(url) as store, open_postgres(url) as beside:
        assert store.events.identity == beside.events.identity == identity
        assert not store.events.unclean
        assert await store.events.head() == 2
        await beside.events.commit([append("o-1", after=1)])
        await store.events.commit([append("o-1", after=2)])


async def test_what_ended_writers_could_ask_again_is_not_kept_for_ever(url: str) -> None:
    """Seen failing: sixteen rows kept for every writer that ever was."""
    connection = await asyncpg.connect(url)
    for number in range(3):
        async with open_postgres(url) as store:
            await store.events.commit([append(f"o-{number}")])
        if number == 0:
            await connection.execute("update comby.batches set recorded_at = recorded_at - 90000000000")

    kept = await connection.fetchval("select count(*) from comby.batches")
    await connection.close()
    assert 2 == kept


async def test_many_that_open_at_once_migrate_once(empty: str) -> None:
    async def identity() -> object:
        async with open_postgres(empty) as store:
            return store.events.identity

    assert len(set(await asyncio.gather(*(identity() for _ in range(8))))) == 1
    connection = await asyncpg.connect(empty)
    versions = await connection.fetch("select version from comby.schema_version order by version")
    await connection.close()
    assert [version for (version,) in versions] == [version for version, _ in migrations()]


async def test_a_newer_store_is_refused(server: PostgresServer, empty: str) -> None:
    async with open_postgres(empty):
        pass
    server.execute("insert into comby.schema_version (version) values (9999)", database="blank")
    assert "9999" in await refusal(empty)


async def test_a_schema_of_something_else_is_refused(server: PostgresServer, empty: str) -> None:
    server.execute("create schema comby", "create table comby.other (one integer)", database="blank")
    assert "not a store of comby" in await refusal(empty)


async def test_an_empty_schema_is_taken(server: PostgresServer, empty: str) -> None:
    server.execute("create schema comby", database="blank")
    async with open_postgres(empty) as store:
        assert await store.events.head() == 0


SETTINGS = {
    "synchronous_commit = off": "synchronous_commit is off",
    "synchronous_commit = local": "synchronous_commit is local",
    "default_transaction_isolation = 'repeatable read'": "default_transaction_isolation is repeatable read",
    "default_transaction_read_only = on": "read-only",
}


@pytest.mark.parametrize("setting", SETTINGS)
async def test_a_setting_that_loses_data_is_refused(server: PostgresServer, empty: str, setting: str) -> None:
    server.execute(f"alter database blank set {setting}")
    assert SETTINGS[setting] in await refusal(empty)


async def test_the_store_refuses_the_settings_of_a_server_that_loses_data() -> None:
    careless = PostgresServer("fsync = off")
    try:
        assert "fsync is off" in await refusal(careless.url())
        careless.execute(
            "alter system set fsync = on", "alter system set full_page_writes = off", "select pg_reload_conf()"
        )
        careless.stop()
        careless.start()
        assert "full_page_writes is off" in await refusal(careless.url())
    finally:
        careless.close()


async def test_another_encoding_is_refused(server: PostgresServer) -> None:
    server.execute("drop database if exists latin", "create database latin encoding 'LATIN1' template template0")
    assert "LATIN1" in await refusal(server.url("latin"))


async def test_who_may_not_create_the_schema_is_told_so(server: PostgresServer, empty: str) -> None:
    server.execute("create role plain login")
    plain = empty.replace("postgres@", "plain@")
    assert "the user may not" in await refusal(plain)


async def test_an_unknown_user_or_database_is_told(server: PostgresServer) -> None:
    assert "user or the password" in await refusal(server.url().replace("postgres@", "nobody:secret@"))
    assert "no database of that name" in await refusal(server.url("nowhere"))
    assert "URL" in await refusal("postgresql://ada:secret@host:port/db")


async def test_a_database_that_is_not_there_is_unavailable_at_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable) as refused:
        async with open_postgres("postgresql://ada:secret@127.0.0.1:1/orders"):
            pass
    assert time.monotonic() - begun < 2
    for text in (str(refused.value), caplog.text):
        assert "secret" not in text
        assert "ada" not in text
        assert "127.0.0.1" not in text


async def test_a_copy_of_a_database_is_a_new_incarnation(server: PostgresServer, empty: str) -> None:
    async with open_postgres(empty) as store:
        await store.events.commit([append("o-1")])
        original = store.events.identity
    server.execute("drop database if exists copied")
    copy = server.create("copied", template="blank")
    async with open_postgres(copy) as store:
        assert store.events.identity.log_id == original.log_id
        assert store.events.identity.incarnation != original.incarnation
        copied = store.events.identity
    async with open_postgres(copy) as store, open_postgres(empty) as first:
        assert store.events.identity == copied
        assert first.events.identity == original


@pytest.mark.parametrize("column", ["system_identifier", "timeline"])
async def test_another_server_or_timeline_is_a_new_incarnation(server: PostgresServer, empty: str, column: str) -> None:
    """Where the log says that it was on another cluster, as after a restore, or before a promotion."""
    async with open_postgres(empty) as store:
        before = store.events.identity
    server.execute(f"update comby.log set {column} = {column} + 1", database="blank")
    async with open_postgres(empty) as store:
        after = store.events.identity
        assert after.log_id == before.log_id
        assert after.incarnation != before.incarnation
    async with open_postgres(empty) as store:
        assert store.events.identity == after


async def test_what_was_not_known_is_noted_and_changes_nothing(server: PostgresServer, empty: str) -> None:
    async with open_postgres(empty) as store:
        before = store.events.identity
    server.execute("update comby.log set system_identifier = null, timeline = null", database="blank")
    async with open_postgres(empty) as store:
        assert store.events.identity == before
    server.execute("update comby.log set system_identifier = system_identifier + 1", database="blank")
    async with open_postgres(empty) as store:
        assert store.events.identity != before


async def test_without_the_right_to_look_nothing_is_renewed(
    server: PostgresServer, empty: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.execute("create role plain login")
    server.execute(
        "grant create on database blank to plain",
        "revoke execute on function pg_control_system() from public",
        "revoke execute on function pg_walfile_name(pg_lsn) from public",
        database="blank",
    )
    plain = empty.replace("postgres@", "plain@")
    async with open_postgres(plain) as store:
        before = store.events.identity
    assert "can not be recognised" in caplog.text
    async with open_postgres(plain) as store:
        assert store.events.identity == before
        await store.events.commit([append("o-1")])
    await renew_incarnation(plain)
    async with open_postgres(plain) as store:
        assert store.events.identity != before


async def test_who_has_an_old_incarnation_open_writes_nothing(url: str) -> None:
    async with open_postgres(url) as store:
        await store.events.commit([append("o-1")])
        before = store.events.identity
        renewed = await renew_incarnation(url)
        with pytest.raises(StoreUnavailable, match="start this instance again"):
            await store.events.commit([append("o-2")])
        async with open_postgres(url) as after:
            assert after.events.identity.log_id == before.log_id
            assert after.events.identity.incarnation == renewed
            assert await after.events.head() == 1


async def test_the_snapshot_that_holds_vacuum_back_is_told(url: str) -> None:
    async with open_postgres(url) as store:
        await store.events.commit([append("o-1")])
        dump = await asyncpg.connect(url)
        async with dump.transaction(isolation="repeatable_read"):
            await dump.fetchval("select count(*) from comby.events")
            await store.events.commit([append("o-2")])
            held_back = await store.vacuum_held_back()
            assert held_back is not None
            assert held_back.holder == f"session {dump.get_server_pid()}"
            assert held_back.transactions >= 1
            assert held_back.seconds is not None
        await dump.close()


async def test_a_closed_store_answers_no_more(url: str) -> None:
    async with open_postgres(url) as store:
        pass
    with pytest.raises(StoreUnavailable):
        await store.events.commit([append("o-1")])
    with pytest.raises(StoreUnavailable):
        await store.events.head()
