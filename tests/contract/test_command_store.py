"""Reading stored commands: by key, as a queue, and as lists for operators."""

from dataclasses import replace

import pytest

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import CommandFilter, CommandStatus
from comby.server.ports.event_store import RetryCommand, StartCommand
from comby.server.ports.store import Store
from tests.contract.making import LATE, TENANT, accept, command, commit, finish, order, park


async def listed(store: Store, filter: CommandFilter, *, limit: int = 100) -> list[str]:
    return [found.key.request_id for found in await store.commands.list(filter, limit=limit)]


async def opened(store: Store, *, due: int = 0, limit: int = 100) -> list[str]:
    keys = await store.commands.open_keys(due=due, limit=limit)
    found = await store.commands.get_many(keys)
    assert list(keys) == sorted(keys, key=lambda key: found[key].accept_seq)
    return [key.request_id for key in keys]


async def test_many_commands_are_read_at_once(store: Store) -> None:
    keys = [await accept(store, command(str(number))) for number in range(3)]
    unknown = [CommandKey(TENANT, "unknown"), CommandKey("other", "1")]
    found = await store.commands.get_many([*keys, *unknown, keys[0]])
    assert set(found) == set(keys)
    assert [found[key] for key in keys] == [await store.commands.get(key) for key in keys]
    assert await store.commands.get_many([]) == {}
    assert [await store.commands.get(key) for key in unknown] == [None, None]


@pytest.fixture
async def several(store: Store) -> None:
    """Commands in every status, in two tenants."""
    await accept(store, command("accepted", type="Order.Pay"))
    await commit(store, finish(command("executed", aggregate=order("o-2"))))
    await commit(store, finish(command("rejected"), status=CommandStatus.REJECTED))
    await park(store, command("parked", aggregate=order("o-2"), type="Order.Pay"))
    await accept(store, command("foreign", aggregate=order(tenant_id="other")))
    await commit(store, finish(command("last", type="Order.Pay")))


LISTS = {
    "all": (CommandFilter(tenant_id=TENANT), ["last", "parked", "rejected", "executed", "accepted"]),
    "another tenant": (CommandFilter(tenant_id="other"), ["foreign"]),
    "an unknown tenant": (CommandFilter(tenant_id="nobody"), []),
    "a status": (CommandFilter(tenant_id=TENANT, statuses=frozenset({CommandStatus.EXECUTED})), ["last", "executed"]),
    "statuses": (
        CommandFilter(tenant_id=TENANT, statuses=frozenset({CommandStatus.PARKED, CommandStatus.ACCEPTED})),
        ["parked", "accepted"],
    ),
    "a type": (CommandFilter(tenant_id=TENANT, type="Order.Pay"), ["last", "parked", "accepted"]),
    "an aggregate": (CommandFilter(tenant_id=TENANT, aggregate_id="o-2"), ["parked", "executed"]),
    "an aggregate's type and status": (
        CommandFilter(
            tenant_id=TENANT, aggregate_id="o-1", type="Order.Pay", statuses=frozenset({CommandStatus.EXECUTED})
        ),
        ["last"],
    ),
}


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("name", LISTS)
async def test_commands_are_listed_the_last_one_first(store: Store, name: str) -> None:
    filter, expected = LISTS[name]
    assert await listed(store, filter) == expected
    assert await listed(store, filter, limit=2) == expected[:2]


@pytest.mark.usefixtures("several")
@pytest.mark.parametrize("name", LISTS)
async def test_a_list_is_read_in_pages(store: Store, name: str) -> None:
    filter, expected = LISTS[name]
    found: list[str] = []
    before: int | None = None
    while True:
        page = await store.commands.list(
            CommandFilter(
                tenant_id=filter.tenant_id,
                statuses=filter.statuses,
                type=filter.type,
                aggregate_id=filter.aggregate_id,
                before_seq=before,
            ),
            limit=1,
        )
        if not page:
            break
        found.extend(entry.key.request_id for entry in page)
        before = page[-1].accept_seq
    assert found == expected


async def test_open_commands_come_in_the_order_of_acceptance(store: Store) -> None:
    keys = [await accept(store, command(str(number))) for number in range(4)]
    await commit(store, finish(keys[1]), StartCommand(key=keys[2]))
    assert await opened(store) == ["0", "2", "3"]
    assert await opened(store, limit=2) == ["0", "2"]


async def test_a_retried_command_is_open_behind_the_others(store: Store) -> None:
    parked = await park(store, command("parked"))
    await accept(store, command("other"))
    assert await opened(store) == ["other"]
    await commit(store, RetryCommand(key=parked))
    assert await opened(store) == ["other", "parked"]


async def test_a_delayed_command_is_open_when_it_is_due(store: Store) -> None:
    await accept(store, command("now"))
    await accept(store, command("at 20", not_before=20))
    await accept(store, command("at 10", not_before=10))
    assert await opened(store, due=9) == ["now"]
    assert await opened(store, due=10) == ["now", "at 10"]
    assert await opened(store, due=20) == ["now", "at 20", "at 10"]


async def test_the_next_due_time_is_of_an_accepted_command(store: Store) -> None:
    assert await store.commands.next_due(after=0) is None
    await accept(store, command())
    await accept(store, command(not_before=30))
    await commit(store, finish(await accept(store, command(not_before=10))))
    await accept(store, command(not_before=20))
    assert [await store.commands.next_due(after=after) for after in (0, 19, 20, 29, 30)] == [20, 20, 30, 30, None]


async def test_open_commands_of_some_partitions_come_in_the_order_of_acceptance(store: Store) -> None:
    for number in range(6):
        await accept(store, replace(command(str(number)), partition=number % 3))
    await accept(store, replace(command("late", not_before=10), partition=0))

    async def opened_in(*partitions: int, due: int = 0, limit: int = 100) -> list[str]:
        found = await store.commands.open_keys(due=due, limit=limit, partitions=partitions)
        return [key.request_id for key in found]

    assert await opened_in(0, 2) == ["0", "2", "3", "5"]
    assert await opened_in(2, 0, 1, 7) == ["0", "1", "2", "3", "4", "5"]
    assert await opened_in(0, 2, limit=3) == ["0", "2", "3"]
    assert await opened_in(0, due=10) == ["0", "3", "late"]
    assert await opened_in(7) == await opened_in() == []


async def test_open_commands_of_an_aggregate_come_in_the_order_of_acceptance(store: Store) -> None:
    parked = await park(store, command("parked"))
    for number in range(4):
        await accept(store, command(str(number), aggregate=order()))
        for other in (order("o-2"), order(tenant_id="other"), order(domain="Stock")):
            await accept(store, command(f"{number} {other}", aggregate=other))
    await accept(store, command("late", aggregate=order(), not_before=10))
    await commit(store, RetryCommand(key=parked), finish(CommandKey(TENANT, "1")))

    async def opened_of(aggregate: AggregateKey, *, due: int = 0, limit: int = 100) -> list[str]:
        keys = await store.commands.open_keys_of_aggregate(aggregate, due=due, limit=limit)
        return [key.request_id for key in keys]

    assert await opened_of(order()) == ["0", "2", "3", "parked"]
    assert await opened_of(order(), limit=2) == ["0", "2"]
    assert await opened_of(order(), due=10) == ["0", "2", "3", "late", "parked"]
    assert await opened_of(order("o-3")) == []


async def test_the_next_due_time_of_some_partitions(store: Store) -> None:
    for partition, due in ((1, 30), (2, 20), (3, 10)):
        await accept(store, replace(command(not_before=due), partition=partition))
    assert await store.commands.next_due(after=0, partitions=[1, 2]) == 20
    assert await store.commands.next_due(after=20, partitions=[1, 2]) == 30
    assert await store.commands.next_due(after=0, partitions=[4]) is None
    assert await store.commands.next_due(after=0, partitions=[]) is None


@pytest.mark.usefixtures("several")
async def test_ended_commands_are_those_that_are_not_accepted(store: Store) -> None:
    asked = [CommandKey(TENANT, name) for name in ("accepted", "executed", "rejected", "parked", "last", "unknown")]
    asked.append(CommandKey("other", "executed"))
    assert sorted(await store.commands.ended(asked)) == sorted(
        CommandKey(TENANT, name) for name in ("executed", "rejected", "parked", "last")
    )
    assert list(await store.commands.ended([])) == []


async def test_open_commands_are_counted_by_tenant(store: Store) -> None:
    assert await store.commands.count_open() == {}
    key = await accept(store, command())
    await accept(store, command())
    await accept(store, command(aggregate=order(tenant_id="other")))
    await park(store, command(aggregate=order(tenant_id="third")))
    assert await store.commands.count_open() == {TENANT: 2, "other": 1}
    await commit(store, finish(key))
    assert await store.commands.count_open() == {TENANT: 1, "other": 1}


@pytest.mark.usefixtures("several")
async def test_payloads_of_old_final_commands_are_dropped(store: Store) -> None:
    assert await store.commands.forget(finished_before=0, limit=10) == 0
    assert await store.commands.forget(finished_before=LATE, limit=2) == 2
    assert await store.commands.forget(finished_before=LATE, limit=10) == 1
    assert await store.commands.forget(finished_before=LATE, limit=10) == 0
    found = await store.commands.list(CommandFilter(tenant_id=TENANT), limit=10)
    kept = {entry.key.request_id for entry in found if entry.command is not None}
    assert kept == {"accepted", "parked"}
    assert all(entry.fingerprint == b"\x00\xfffingerprint" and entry.context for entry in found)
    executed = await store.commands.get(CommandKey(TENANT, "executed"))
    assert executed is not None
    assert (executed.command, executed.outcome) == (None, b"\x00\xffoutcome")
