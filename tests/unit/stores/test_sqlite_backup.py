"""Backups are good or refused, and a restored store is another life of the log."""

import asyncio
from pathlib import Path

import apsw
import pytest

from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.errors import StoreDamaged, StoreIncompatible, StoreInUse
from comby.server.ports.event_store import EventFilter, StoredEvent
from comby.server.stores.sqlite import backup, open_sqlite, restore
from tests.unit.stores.store_requests import append


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'store.db'}"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "copy.db"


async def fill(url: str, count: int = 50) -> None:
    async with open_sqlite(url) as store:
        for number in range(count):
            await store.events.commit([append(f"o-{number}", record=b"%d" % number * 100), append(f"p-{number}")])


async def contents(url: str) -> tuple[LogIdentity, list[StoredEvent]]:
    async with open_sqlite(url) as store:
        page = await store.events.read(after=Position(0), filter=EventFilter(), limit=10_000, max_bytes=1 << 30)
        return store.events.identity, list(page.events)


def damage(path: Path, statement: str) -> None:
    with apsw.Connection(str(path)) as connection:
        connection.execute(statement)
    connection.close()


async def test_a_restored_store_has_the_events_and_another_incarnation(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url)
    backup(url, copy)
    other = f"sqlite:///{tmp_path / 'other.db'}"
    restore(copy, other)
    (identity, events), (restored_identity, restored) = await contents(url), await contents(other)
    assert restored == events
    assert restored_identity.log_id == identity.log_id
    assert restored_identity.incarnation != identity.incarnation
    assert sorted(path.name for path in tmp_path.iterdir() if "copy" in path.name) == ["copy.db"]


async def test_a_store_is_backed_up_while_it_writes(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url)
    async with open_sqlite(url) as store:
        copying = asyncio.ensure_future(asyncio.to_thread(backup, url, copy))
        version = 0
        while not copying.done():
            await store.events.commit([append("busy", after=version)])
            version += 1
        await copying
        assert await store.events.head() == 100 + version
    other = f"sqlite:///{tmp_path / 'other.db'}"
    restore(copy, other)
    _, events = await contents(other)
    assert 100 <= len(events) <= 100 + version


async def test_a_backup_replaces_nothing(url: str, copy: Path) -> None:
    await fill(url)
    copy.write_bytes(b"precious")
    with pytest.raises(FileExistsError):
        backup(url, copy)
    assert copy.read_bytes() == b"precious"


async def test_a_restore_replaces_a_store_only_by_force(url: str, copy: Path) -> None:
    await fill(url, 5)
    backup(url, copy)
    await fill_more(url)
    with pytest.raises(FileExistsError):
        restore(copy, url)
    assert len((await contents(url))[1]) == 11
    restore(copy, url, force=True)
    assert len((await contents(url))[1]) == 10


async def fill_more(url: str) -> None:
    async with open_sqlite(url) as store:
        await store.events.commit([append("more")])


async def test_an_open_store_is_not_restored(url: str, copy: Path) -> None:
    await fill(url, 5)
    backup(url, copy)
    async with open_sqlite(url) as store:
        with pytest.raises(StoreInUse):
            restore(copy, url, force=True)
        assert await store.events.head() == 10


async def test_a_backup_with_a_damaged_page_is_refused(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url)
    backup(url, copy)
    content = bytearray(copy.read_bytes())
    for page in range(4, len(content) // 4096, 3):
        content[page * 4096 : page * 4096 + 64] = b"\xaa" * 64
    copy.write_bytes(content)
    with pytest.raises(StoreDamaged):
        restore(copy, f"sqlite:///{tmp_path / 'other.db'}")
    assert not (tmp_path / "other.db").exists()


async def test_a_damaged_backup_leaves_the_store_as_it_was(url: str, copy: Path) -> None:
    await fill(url)
    backup(url, copy)
    copy.write_bytes(copy.read_bytes()[:-8192])
    with pytest.raises(StoreDamaged):
        restore(copy, url, force=True)
    assert len((await contents(url))[1]) == 100


async def test_a_hole_in_the_positions_is_refused(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url)
    damage(tmp_path / "store.db", "delete from events where position = 7")
    with pytest.raises(StoreDamaged, match="99 events up to position 100"):
        backup(url, copy)
    assert not copy.exists()


async def test_a_backup_of_a_newer_schema_is_refused(url: str, copy: Path, tmp_path: Path) -> None:
    await fill(url, 1)
    backup(url, copy)
    damage(copy, "update schema_version set version = version + 1")
    with pytest.raises(StoreIncompatible):
        restore(copy, f"sqlite:///{tmp_path / 'other.db'}")


@pytest.mark.parametrize("content", [b"", b"no database " * 1_000], ids=["empty", "text"])
def test_a_file_that_is_no_backup_is_refused(url: str, copy: Path, content: bytes) -> None:
    copy.write_bytes(content)
    with pytest.raises(StoreIncompatible):
        restore(copy, url)


def test_a_missing_file_is_neither_backed_up_nor_restored(url: str, copy: Path) -> None:
    with pytest.raises(FileNotFoundError):
        backup(url, copy)
    with pytest.raises(FileNotFoundError):
        restore(copy, url)


def test_a_store_in_memory_has_no_backup(copy: Path) -> None:
    with pytest.raises(StoreIncompatible, match="memory"):
        backup("sqlite://:memory:", copy)
