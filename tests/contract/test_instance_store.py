"""Who serves the log, and who owns what: heartbeats, takeovers, and epochs that rise with every change of owner."""

import asyncio
from collections.abc import Sequence

import pytest

from comby.server.ports.instance_store import Instance, InstanceStore, Ownership, Taken
from comby.server.ports.store import Store
from tests.contract.conftest import SHARED

pytestmark = pytest.mark.parametrize("adapter", SHARED, indirect=True)
LONG = 60.0
NONE = 0.0
"""A lease under which nobody is live."""


@pytest.fixture
def instances(store: Store) -> InstanceStore:
    assert store.instances is not None
    return store.instances


async def join(
    instances: InstanceStore,
    instance_id: str,
    *,
    name: str = "",
    eligible: bool = True,
    partitions: int = 4,
    duties: Sequence[str] = ("relay",),
) -> None:
    await instances.join(
        instance_id,
        name=name or instance_id,
        address=f"{instance_id}:1",
        eligible=eligible,
        version="1.2",
        partitions=partitions,
        duties=duties,
    )


async def found(instances: InstanceStore, lease: float = LONG) -> dict[str, Instance]:
    return {one.instance_id: one for one in (await instances.members(lease=lease)).instances}


async def owners(instances: InstanceStore) -> dict[int | str, str | None]:
    holdings = (await instances.members(lease=LONG)).holdings
    return {holding: ownership.owner for holding, ownership in holdings.items()}


async def test_an_instance_joins_with_a_first_heartbeat(instances: InstanceStore) -> None:
    assert await found(instances) == {}
    await join(instances, "a", name="host-1")
    await join(instances, "b", eligible=False)
    there = await found(instances)
    first = there["a"]
    assert (first.name, first.address, first.eligible, first.version) == ("host-1", "a:1", True, "1.2")
    assert first.live
    assert first.started_at == first.heartbeat_at
    assert not there["b"].eligible


async def test_every_partition_and_duty_is_nobodys_at_first(instances: InstanceStore) -> None:
    await join(instances, "a", partitions=3, duties=["relay", "projection:board"])
    nobody = Ownership(None, 0)
    expected = {0: nobody, 1: nobody, 2: nobody, "relay": nobody, "projection:board": nobody}
    assert (await instances.members(lease=LONG)).holdings == expected


async def test_joining_changes_no_ownership(instances: InstanceStore) -> None:
    await join(instances, "a", partitions=2)
    await instances.take("a", [0, "relay"], lease=LONG)
    await join(instances, "b", partitions=3, duties=["relay", "other"])
    assert await owners(instances) == {0: "a", 1: None, 2: None, "relay": "a", "other": None}


async def test_a_heartbeat_is_renewed_on_the_stores_clock(instances: InstanceStore) -> None:
    await join(instances, "a")
    before = (await found(instances))["a"]
    membership = await instances.beat("a", lease=LONG)
    [after] = membership.instances
    assert after.heartbeat_at > before.heartbeat_at
    assert after.started_at == before.started_at
    assert membership == await instances.members(lease=LONG)


async def test_an_instance_is_live_while_its_heartbeat_is_younger_than_the_lease(instances: InstanceStore) -> None:
    await join(instances, "a")
    assert (await found(instances, LONG))["a"].live
    assert not (await found(instances, NONE))["a"].live


async def test_what_nobody_owns_is_taken_once(instances: InstanceStore) -> None:
    await join(instances, "a")
    await join(instances, "b")
    taken = await instances.take("a", [0, 1, "relay"], lease=LONG)
    assert taken == {0: Taken(1, False), 1: Taken(1, False), "relay": Taken(1, False)}
    assert await instances.take("b", [1, 2, "relay", 99, "unknown"], lease=LONG) == {2: Taken(1, False)}
    assert await owners(instances) == {0: "a", 1: "a", 2: "b", 3: None, "relay": "a"}


async def test_what_one_owns_is_not_taken_again(instances: InstanceStore) -> None:
    await join(instances, "a")
    await instances.take("a", [0, "relay"], lease=LONG)
    assert await instances.take("a", [0, "relay"], lease=NONE) == {}


async def test_what_a_silent_instance_owns_is_taken_as_unclean(instances: InstanceStore) -> None:
    await join(instances, "a")
    await instances.take("a", [0, "relay"], lease=LONG)
    await join(instances, "b")
    assert await instances.take("b", [0, 1, "relay"], lease=NONE) == {
        0: Taken(2, True),
        1: Taken(1, False),
        "relay": Taken(2, True),
    }


async def test_who_was_silent_still_owns_what_nobody_took(instances: InstanceStore) -> None:
    await join(instances, "a")
    await instances.take("a", [0, 1], lease=LONG)
    await join(instances, "b")
    await instances.take("b", [1], lease=NONE)
    holdings = (await instances.beat("a", lease=NONE)).holdings
    assert (holdings[0], holdings[1]) == (Ownership("a", 1), Ownership("b", 2))


async def test_a_new_instance_of_a_name_ends_the_old_one(instances: InstanceStore) -> None:
    await join(instances, "old", name="host-1")
    await instances.take("old", [0, "relay"], lease=LONG)
    await join(instances, "other")
    await join(instances, "new", name="host-1")
    there = await found(instances)
    assert {name for name, one in there.items() if one.live} == {"new", "other"}
    assert await instances.take("new", [0, "relay"], lease=LONG) == {0: Taken(2, True), "relay": Taken(2, True)}


async def test_what_is_given_back_has_a_new_epoch_and_is_taken_clean(instances: InstanceStore) -> None:
    await join(instances, "a")
    taken = await instances.take("a", [0, "relay"], lease=LONG)
    await instances.release("a", {holding: one.epoch for holding, one in taken.items()})
    holdings = (await instances.members(lease=LONG)).holdings
    assert (holdings[0], holdings["relay"]) == (Ownership(None, 2), Ownership(None, 2))
    assert await instances.take("a", [0, "relay"], lease=LONG) == {0: Taken(3, False), "relay": Taken(3, False)}


async def test_only_what_one_still_owns_is_given_back(instances: InstanceStore) -> None:
    await join(instances, "a")
    await join(instances, "b")
    await instances.take("a", [0, 1], lease=LONG)
    await instances.take("b", [1, "relay"], lease=NONE)
    await instances.release("a", {0: 7, 1: 1, "relay": 1, 2: 0, "unknown": 1})
    assert await owners(instances) == {0: "a", 1: "b", 2: None, 3: None, "relay": "b"}


async def test_who_leaves_gives_everything_back_and_is_forgotten(instances: InstanceStore) -> None:
    await join(instances, "a")
    await join(instances, "b")
    await instances.take("a", [0, "relay"], lease=LONG)
    await instances.leave("a")
    assert set(await found(instances)) == {"b"}
    assert await instances.take("b", [0, "relay"], lease=LONG) == {0: Taken(3, False), "relay": Taken(3, False)}
    await instances.leave("a")


async def test_one_that_was_forgotten_is_not_registered_again(instances: InstanceStore) -> None:
    await join(instances, "b")
    membership = await instances.beat("a", lease=LONG)
    assert [one.instance_id for one in membership.instances] == ["b"]
    assert await instances.take("a", [0], lease=LONG) == {}


async def test_one_that_is_not_eligible_takes_nothing(instances: InstanceStore) -> None:
    await join(instances, "reader", eligible=False)
    assert await instances.take("reader", [0, "relay"], lease=LONG) == {}


async def test_of_many_that_take_at_once_one_gets_each(instances: InstanceStore) -> None:
    names = [f"i-{number}" for number in range(6)]
    for name in names:
        await join(instances, name, partitions=16)
    taken = await asyncio.gather(*(instances.take(name, range(16), lease=LONG) for name in names))
    assert sorted(holding for one in taken for holding in one) == list(range(16))
    assert {one.epoch for given in taken for one in given.values()} == {1}


async def test_the_age_of_the_oldest_snapshot_is_told(instances: InstanceStore) -> None:
    age = await instances.snapshot_age()
    assert age is not None
    assert 0 <= age < 60
