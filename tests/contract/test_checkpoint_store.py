"""Checkpoints: consumers, their compare-and-set, and the keys that wait for a reactor."""

from dataclasses import replace

import pytest

from comby.server.domain.identity import Position
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    Advanced,
    CheckpointMoved,
    Consumer,
    JoinWaiting,
    LeaveWaiting,
    PutWaiting,
    WaitingKey,
)
from comby.server.ports.event_store import Committed
from comby.server.ports.read_model_store import DeleteRow
from comby.server.ports.store import Store
from tests.contract.making import TENANT, append, commit, commit_one, committed, order, row

ONE, TWO = order("o-1"), order("o-2")


def consumer(name: str = "board", *, generation: int = 1, position: int = 0, live: bool = True) -> Consumer:
    return Consumer(
        name=name, generation=generation, version=1, live=live, position=Position(position), since=Position(0)
    )


def advance(
    before: int,
    after: int,
    *,
    name: str = "board",
    generation: int = 1,
    rows: tuple[object, ...] = (),
    waiting: tuple[PutWaiting | JoinWaiting | LeaveWaiting, ...] = (),
) -> AdvanceConsumer:
    return AdvanceConsumer(
        name=name,
        generation=generation,
        before=Position(before),
        after=Position(after),
        rows=rows,  # type: ignore[arg-type]
        waiting=waiting,
    )


def waiting_key(
    position: int = 1, *, attempts: int = 1, next_attempt_at: int | None = 77, **changes: object
) -> WaitingKey:
    key = WaitingKey(
        reactor="mailer",
        key=ONE,
        position=Position(position),
        attempts=attempts,
        since=55,
        next_attempt_at=next_attempt_at,
        incident="i-1",
    )
    return replace(key, **changes)  # type: ignore[arg-type]


async def change_waiting(store: Store, *changes: PutWaiting | JoinWaiting | LeaveWaiting) -> None:
    """Change waiting keys without moving the checkpoint."""
    await store.checkpoints.create(consumer("mailer"))
    assert await commit_one(store, advance(0, 0, name="mailer", waiting=changes)) == Advanced()


def join(position: int) -> JoinWaiting:
    return JoinWaiting(reactor="mailer", key=ONE, position=Position(position))


def leave(position: int) -> LeaveWaiting:
    return LeaveWaiting(reactor="mailer", key=ONE, position=Position(position))


async def keys(store: Store, reactor: str = "mailer") -> list[WaitingKey]:
    return list(await store.checkpoints.waiting_keys(reactor, limit=100))


async def waiting_positions(store: Store) -> list[int]:
    return list(await store.checkpoints.waiting_positions("mailer", ONE, limit=100))


async def test_a_consumer_is_created_once(store: Store) -> None:
    assert list(await store.checkpoints.consumers()) == []
    first = consumer(position=4)
    assert await store.checkpoints.create(first) == first
    assert await store.checkpoints.create(consumer(position=9, live=False)) == first
    rebuilt = consumer(generation=2, live=False)
    assert await store.checkpoints.create(rebuilt) == rebuilt
    assert list(await store.checkpoints.consumers()) == [first, rebuilt]


async def test_a_checkpoint_moves_from_where_it_is(store: Store) -> None:
    await store.checkpoints.create(consumer())
    assert await commit(store, advance(0, 3), advance(3, 5)) == [Advanced(), Advanced()]
    assert await commit(store, advance(3, 9), advance(5, 6)) == [CheckpointMoved(Position(5)), Advanced()]
    [stored] = await store.checkpoints.consumers()
    assert stored == consumer(position=6)


async def test_no_unknown_consumer_is_advanced(store: Store) -> None:
    await store.checkpoints.create(consumer())
    assert await commit_one(store, advance(0, 1, generation=2)) == CheckpointMoved(None)
    assert await commit_one(store, advance(0, 1, name="other")) == CheckpointMoved(None)
    assert list(await store.checkpoints.consumers()) == [consumer()]


async def test_rows_are_written_with_the_checkpoint_or_not_at_all(store: Store) -> None:
    await store.checkpoints.create(consumer())
    first = advance(0, 1, rows=(row("a"), row("b", {"status": "open"})))
    delete = DeleteRow(model="orders", tenant_id=TENANT, key="a")
    second = advance(1, 2, rows=(delete, row("b", content=b"two"), row("c"), delete))
    zombie = advance(0, 2, rows=(row("z"),), waiting=(PutWaiting(key=waiting_key()),))
    assert await commit(store, first, second, zombie) == [Advanced(), Advanced(), CheckpointMoved(Position(2))]
    found = await store.read_models.get_many("orders", [(TENANT, key) for key in "abcz"])
    assert {key: stored.row for (_, key), stored in found.items()} == {"b": b"two", "c": b"\x00\xffrow"}
    assert await keys(store) == []


async def test_changes_are_written_where_the_checkpoint_stays(store: Store) -> None:
    await store.checkpoints.create(consumer(position=3))
    stays = advance(3, 3, rows=(row("a"),))
    assert await commit_one(store, stays) == Advanced()
    assert await store.read_models.get("orders", TENANT, "a") is not None
    assert await commit_one(store, advance(2, 2, rows=(row("b"),))) == CheckpointMoved(Position(3))
    assert await store.read_models.get("orders", TENANT, "b") is None


async def test_a_checkpoint_is_committed_beside_commands(store: Store) -> None:
    await store.checkpoints.create(consumer())
    verdicts = await commit(store, append(ONE), advance(0, 1, rows=(row("a"),)), append(ONE, after=1))
    assert [type(verdict) for verdict in verdicts] == [Committed, Advanced, Committed]


async def test_the_last_change_of_a_row_in_a_batch_counts(store: Store) -> None:
    await store.checkpoints.create(consumer())
    delete = DeleteRow(model="orders", tenant_id=TENANT, key="a")
    await commit(store, advance(0, 1, rows=(row("a"),)), advance(1, 2, rows=(delete,)))
    assert await store.read_models.get("orders", TENANT, "a") is None
    await commit(store, advance(2, 3, rows=(delete,)), advance(3, 4, rows=(row("a", content=b"new"),)))
    found = await store.read_models.get("orders", TENANT, "a")
    assert found is not None
    assert found.row == b"new"


async def test_a_switch_makes_a_generation_live_and_deletes_the_others(store: Store) -> None:
    await store.checkpoints.create(consumer())
    await store.checkpoints.create(consumer(generation=2, live=False))
    await store.checkpoints.create(consumer("other"))
    await commit(store, advance(0, 7, generation=2))
    await store.checkpoints.switch("board", generation=2)
    assert list(await store.checkpoints.consumers()) == [consumer(generation=2, position=7), consumer("other")]
    assert await commit_one(store, advance(0, 1)) == CheckpointMoved(None)
    assert await commit_one(store, advance(7, 8, generation=2)) == Advanced()


async def test_a_switch_to_an_unknown_generation_changes_nothing(store: Store) -> None:
    await store.checkpoints.create(consumer())
    await store.checkpoints.switch("board", generation=2)
    assert list(await store.checkpoints.consumers()) == [consumer()]


async def test_one_generation_is_deleted(store: Store) -> None:
    await store.checkpoints.create(consumer())
    await store.checkpoints.create(consumer(generation=2, live=False))
    await store.checkpoints.delete("board", generation=1)
    await store.checkpoints.delete("board", generation=9)
    assert list(await store.checkpoints.consumers()) == [consumer(generation=2, live=False)]
    assert await commit_one(store, advance(0, 1)) == CheckpointMoved(None)


async def test_a_failed_event_waits_and_is_counted(store: Store) -> None:
    await change_waiting(store, PutWaiting(key=waiting_key(3)))
    assert await keys(store) == [waiting_key(3)]
    await change_waiting(store, join(5), join(4), join(5), PutWaiting(key=waiting_key(3, attempts=2, incident="i-2")))
    assert await keys(store) == [waiting_key(3, attempts=2, incident="i-2", waiting=3)]
    assert await waiting_positions(store) == [3, 4, 5]
    assert list(await store.checkpoints.waiting_positions("mailer", ONE, limit=2)) == [3, 4]
    assert list(await store.checkpoints.waiting_positions("mailer", TWO, limit=2)) == []


async def test_a_parked_key_has_no_next_attempt(store: Store) -> None:
    await change_waiting(store, PutWaiting(key=waiting_key(next_attempt_at=None, attempts=5)))
    assert await keys(store) == [waiting_key(next_attempt_at=None, attempts=5)]


async def test_the_next_event_of_a_key_begins_anew_at_once(store: Store) -> None:
    [before] = await committed(store, append(ONE))
    await change_waiting(store, PutWaiting(key=waiting_key(3, attempts=4, next_attempt_at=None)), join(8), join(9))
    await change_waiting(store, leave(3))
    [after] = await committed(store, append(ONE, after=1))
    [key] = await keys(store)
    assert (key.position, key.attempts, key.waiting, key.since) == (8, 0, 2, 55)
    assert key.next_attempt_at is not None
    assert before.recorded_at <= key.next_attempt_at <= after.recorded_at


async def test_a_key_goes_with_its_last_event(store: Store) -> None:
    await change_waiting(store, PutWaiting(key=waiting_key(3)), join(4))
    await change_waiting(store, leave(3), leave(4))
    assert await keys(store) == []
    assert await waiting_positions(store) == []
    await change_waiting(store, leave(4))
    assert await keys(store) == []


async def test_an_event_behind_the_failed_one_leaves_alone(store: Store) -> None:
    await change_waiting(store, PutWaiting(key=waiting_key(3, attempts=4)), join(4), leave(4), leave(9))
    assert await keys(store) == [waiting_key(3, attempts=4)]


async def test_an_event_that_joins_a_key_that_has_left_is_not_lost(store: Store) -> None:
    await change_waiting(store, PutWaiting(key=waiting_key(3)), leave(3), join(4))
    [key] = await keys(store)
    assert (key.position, key.attempts, key.incident, key.waiting) == (4, 0, "", 1)
    assert key.next_attempt_at is not None


@pytest.fixture
async def many(store: Store) -> list[WaitingKey]:
    """Keys of two reactors in two tenants, in their order."""
    found = [
        waiting_key(1, reactor=reactor, key=order(aggregate_id, tenant_id=tenant_id))
        for reactor in ("biller", "mailer")
        for tenant_id in ("acme", "other")
        for aggregate_id in ("o-1", "o-2", "o-3")
    ]
    await change_waiting(store, *(PutWaiting(key=key) for key in reversed(found)))
    return found


async def test_waiting_keys_are_listed_in_order(store: Store, many: list[WaitingKey]) -> None:
    assert await keys(store, "") == many
    assert await keys(store, "mailer") == many[6:]
    assert await keys(store, "unknown") == []
    assert list(await store.checkpoints.waiting_keys("", limit=4)) == many[:4]
    found = await store.checkpoints.waiting_keys("biller", tenant_id="other", limit=100)
    assert list(found) == many[3:6]


async def test_waiting_keys_are_read_in_pages(store: Store, many: list[WaitingKey]) -> None:
    found: list[WaitingKey] = []
    while page := await store.checkpoints.waiting_keys("mailer", after=found[-1].key if found else None, limit=4):
        found.extend(page)
    assert found == many[6:]
