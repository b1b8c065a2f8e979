"""What opening a SQLite store refuses, and what it keeps."""

import asyncio
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from comby.server.domain.identity import Position
from comby.server.ports.errors import StoreIncompatible, StoreInUse, StoreUnavailable
from comby.server.ports.event_store import Committed, Verdict
from comby.server.stores.sqlite import migrations, open_sqlite
from comby.server.stores.sqlite.connection import configure_writer, open_writer
from comby.server.stores.sqlite.opening import open_for_writing
from tests.unit.stores.store_requests import append

OPEN_IT = """
import asyncio, sys
from comby.server.ports.errors import StoreInUse
from comby.server.stores.sqlite import open_sqlite

async def main():
    try:
        async with open_sqlite(sys.argv[1]):
            print("opened")
    except StoreInUse as error:
        print(error)

asyncio.run(main())
"""


def in_another_process(url: str) -> str:
    return subprocess.run([sys.executable, "-c", OPEN_IT, url], capture_output=True, text=True, check=True).stdout


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


async def test_a_second_process_is_refused_until_the_first_is_gone(url: str, path: Path) -> None:
    async with open_sqlite(url):
        refusal = await asyncio.to_thread(in_another_process, url)
        assert str(path) in refusal
        assert "serves one process" in refusal
        with pytest.raises(StoreInUse):
            async with open_sqlite(url):
                pass
    assert await asyncio.to_thread(in_another_process, url) == "opened\n"


async def test_a_store_is_the_same_when_it_is_opened_again(url: str) -> None:
    async with open_sqlite(url) as store:
        identity = store.events.identity
        await store.events.commit([append("o-1"), append("o-2")])
    async with open_sqlite(url) as store:
        assert store.events.identity == identity
        assert await store.events.head() == 2
        await store.events.commit([append("o-1", after=1)])
        assert await store.events.head() == 3


async def test_stores_in_memory_are_private(tmp_path: Path) -> None:
    async with open_sqlite("sqlite://:memory:") as first, open_sqlite("sqlite://:memory:") as second:
        await first.events.commit([append("o-1")])
        assert await second.events.head() == 0
        assert first.events.identity != second.events.identity


async def test_a_relative_file_lies_in_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_sqlite("sqlite:///here.db"):
        pass
    assert (tmp_path / "here.db").is_file()


@pytest.mark.parametrize("wrong", ["postgresql://x", "sqlite:///", "sqlite://relative.db", "sqlite:"])
async def test_another_url_is_refused(wrong: str) -> None:
    with pytest.raises(StoreIncompatible, match="sqlite"):
        async with open_sqlite(wrong):
            pass


async def test_a_newer_schema_is_refused(url: str, path: Path) -> None:
    async with open_sqlite(url):
        pass
    with apsw.Connection(str(path)) as connection:
        connection.execute("update schema_version set version = version + 1")
    connection.close()
    with pytest.raises(StoreIncompatible, match="newer"):
        async with open_sqlite(url):
            pass


async def test_a_store_of_an_older_schema_is_brought_up_to_date(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        steps = migrations._steps()
        older.setattr(migrations, "_steps", lambda: steps[:1])
        opened = open_for_writing(path, durable=True)
        opened.writer.commit([append("o-1"), append("o-2")])
        opened.writer.close()
    assert [1] == versions(path)

    async with open_sqlite(url) as store:
        assert 2 == await store.events.head()
        await store.events.commit([append("o-1", after=1)])

    assert [number for number, _ in steps] == versions(path)


def versions(path: Path) -> list[int]:
    with apsw.Connection(str(path)) as connection:
        found = [version for (version,) in connection.execute("select version from schema_version order by version")]
    connection.close()
    return found


async def refused_unchanged(url: str, path: Path, reason: str) -> None:
    content = await asyncio.to_thread(path.read_bytes)
    with pytest.raises(StoreIncompatible, match=reason):
        async with open_sqlite(url):
            pass
    assert await asyncio.to_thread(path.read_bytes) == content


async def test_a_database_of_something_else_is_refused_and_left_alone(url: str, path: Path) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute("create table theirs (x)")
    connection.close()
    await refused_unchanged(url, path, "not a store of comby")


async def test_a_file_that_is_no_database_is_refused_and_left_alone(url: str, path: Path) -> None:
    await asyncio.to_thread(path.write_bytes, b"neither a store nor a database " * 200)
    await refused_unchanged(url, path, "not a database")


async def test_a_directory_that_is_missing_makes_the_store_unavailable(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="No such file"):
        async with open_sqlite(f"sqlite:///{tmp_path / 'missing' / 'store.db'}"):
            pass


async def test_a_closed_store_is_unavailable(url: str) -> None:
    async with open_sqlite(url) as store:
        pass
    with pytest.raises(StoreUnavailable):
        await store.events.commit([append("o-1")])
    with pytest.raises(StoreUnavailable):
        await store.commands.count_open()


async def test_a_commit_whose_caller_is_gone_is_finished(url: str) -> None:
    async with open_sqlite(url) as store:
        waiting = asyncio.ensure_future(store.events.commit([append("o-1")]))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert waiting.cancelled()
        await store.events.commit([append("o-2")])
        assert await store.events.head() == 2


def test_recorded_at_stands_still_while_the_clock_goes_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [5_000_000, 4_000_000, 6_000_000]
    recorded: list[Verdict] = []
    for version, microseconds in enumerate(clock):
        monkeypatch.setattr("comby.server.stores.sqlite.writer.time.time_ns", lambda now=microseconds: now * 1_000)
        writer = open_for_writing(path, durable=True).writer
        recorded += writer.commit([append("o-1", after=version)])
        recorded += writer.commit([append(f"other-{version}")])
        writer.close()
    assert [
        Committed(Position(number), time) for number, time in enumerate([5_000_000] * 4 + [6_000_000] * 2, 1)
    ] == recorded


def test_a_commit_is_on_disk_by_the_settings_of_the_connection(path: Path) -> None:
    connection = open_writer(path)
    configure_writer(connection, path, durable=True)
    assert (connection.pragma("journal_mode"), connection.pragma("synchronous")) == ("wal", 2)
    connection.close()


async def test_the_log_beside_the_file_is_cut_when_nobody_reads_from_it(url: str, path: Path) -> None:
    async with open_sqlite(url) as store:
        await store.events.commit([append("o-1")])
        reader = apsw.Connection(str(path))
        reader.execute("begin")
        assert reader.execute("select count(*) from events").get == 1
        for version in range(1, 80):
            await store.events.commit([append("o-1", after=version, record=bytes(1 << 20))])
        assert size(f"{path}-wal") > 64 << 20
        reader.execute("commit")
        reader.close()
        for version in range(64):
            await store.events.commit([append("o-2", after=version)])
        assert size(f"{path}-wal") < 1 << 20


def size(path: str) -> int:
    return Path(path).stat().st_size
