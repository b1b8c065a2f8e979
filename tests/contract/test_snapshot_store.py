"""Snapshots: the latest of a stamp, at or before a version."""

from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.snapshot_store import Snapshot
from comby.server.ports.store import Store
from tests.contract.making import order

ONE = order("o-1")


def snapshot(version: int, *, key: AggregateKey = ONE, stamp: str = "s1", state: bytes = b"\xff\x00") -> Snapshot:
    return Snapshot(key=key, version=Version(version), stamp=stamp, state=state)


async def test_the_latest_snapshot_is_loaded(store: Store) -> None:
    assert await store.snapshots.load(ONE, stamp="s1") is None
    for version in (10, 30, 20):
        await store.snapshots.save(snapshot(version, state=b"%d" % version))
    assert await store.snapshots.load(ONE, stamp="s1") == snapshot(30, state=b"30")


async def test_a_snapshot_at_or_before_a_version_is_loaded(store: Store) -> None:
    for version in (10, 20):
        await store.snapshots.save(snapshot(version))
    found = [await store.snapshots.load(ONE, stamp="s1", up_to=Version(at)) for at in (9, 10, 19, 20, 99)]
    assert found == [None, snapshot(10), snapshot(10), snapshot(20), snapshot(20)]


async def test_a_snapshot_takes_the_place_of_one_at_its_version(store: Store) -> None:
    await store.snapshots.save(snapshot(10, state=b"old"))
    await store.snapshots.save(snapshot(10, state=b"new"))
    assert await store.snapshots.load(ONE, stamp="s1") == snapshot(10, state=b"new")


async def test_a_snapshot_of_another_stamp_is_never_loaded(store: Store) -> None:
    await store.snapshots.save(snapshot(10))
    assert await store.snapshots.load(ONE, stamp="s2") is None


async def test_a_new_stamp_deletes_what_was_made_with_another(store: Store) -> None:
    other = snapshot(10, key=order("o-2"))
    for saved in (snapshot(10), snapshot(20), other, snapshot(10, stamp="s2")):
        await store.snapshots.save(saved)
    assert await store.snapshots.load(ONE, stamp="s1") is None
    assert await store.snapshots.load(ONE, stamp="s2") == snapshot(10, stamp="s2")
    assert await store.snapshots.load(other.key, stamp="s1") == other


async def test_keys_of_other_tenants_and_domains_have_their_own(store: Store) -> None:
    keys = [ONE, order("o-1", tenant_id="other"), order("o-1", domain="Stock")]
    for number, key in enumerate(keys, start=1):
        await store.snapshots.save(snapshot(number, key=key))
    assert [await store.snapshots.load(key, stamp="s1") for key in keys] == [
        snapshot(number, key=key) for number, key in enumerate(keys, start=1)
    ]
