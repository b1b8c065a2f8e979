"""FinishCommand: everything that a command causes is stored together, or nothing of it."""

from dataclasses import replace

import pytest

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.event_store import (
    CommandKnown,
    CommandNotOpen,
    Committed,
    FinishCommand,
    Refreshed,
    RefreshState,
    StoredEvent,
    VersionConflict,
    Violation,
)
from comby.server.ports.store import Store
from tests.contract.making import (
    accept,
    all_events,
    append,
    check,
    command,
    commit,
    commit_one,
    committed,
    event,
    finish,
    order,
    row,
)

ONE, TWO = order("o-1"), order("o-2")


def violation(key: AggregateKey, expected: int, actual: int) -> Violation:
    return Violation(key, Version(expected), Version(actual))


async def test_a_new_command_is_stored_with_all_that_it_causes(store: Store) -> None:
    new = command("r-1")
    [verdict] = await committed(
        store,
        finish(
            new,
            checks=[check(ONE, 0)],
            events=[event(ONE, 1, record=b"\x00one"), event(ONE, 2, type="Order.OrderPaid", record=b"\xfftwo")],
            states=[row("o-1", {"status": "paid"}, version=2)],
            version=2,
            outcome=b"done",
        ),
    )
    at = verdict.recorded_at
    assert verdict == Committed(Position(2), at)
    assert await all_events(store) == [
        StoredEvent(
            position=Position(position),
            recorded_at=at,
            key=ONE,
            version=Version(position),
            type=type_name,
            record=record,
        )
        for position, type_name, record in [(1, "Order.OrderPlaced", b"\x00one"), (2, "Order.OrderPaid", b"\xfftwo")]
    ]
    stored = await store.commands.get(new.key)
    assert stored is not None
    assert (stored.status, stored.version, stored.position, stored.outcome) == (CommandStatus.EXECUTED, 2, 2, b"done")
    assert stored.finished_at == at
    assert await store.events.version(ONE) == (2, False)
    assert await store.events.head() == 2
    found = await store.read_models.get("orders", ONE.tenant_id, "o-1")
    assert found is not None
    assert found.version == 2


async def test_an_accepted_command_is_finished_by_its_key_once(store: Store) -> None:
    key = await accept(store, command())
    [verdict] = await committed(store, finish(key, checks=[check(ONE, 0)], events=[event(ONE, 1)], version=1))
    stored = await store.commands.get(key)
    assert stored is not None
    assert (stored.status, stored.version, stored.position) == (CommandStatus.EXECUTED, 1, 1)
    assert stored.finished_at == verdict.recorded_at
    again = finish(key, checks=[check(ONE, 1)], events=[event(ONE, 2)], version=2)
    assert await commit_one(store, again) == CommandNotOpen(stored)
    assert len(await all_events(store)) == 1


async def test_a_known_key_causes_nothing_twice(store: Store) -> None:
    new = command()
    first = finish(new, checks=[check(ONE, 0)], events=[event(ONE, 1)], version=1)
    second = finish(new, checks=[check(ONE, 1)], events=[event(ONE, 2)], states=[row("o-1")], version=2)
    verdicts = await commit(store, first, second)
    stored = await store.commands.get(new.key)
    assert stored is not None
    assert verdicts[1] == CommandKnown(stored)
    assert await commit_one(store, second) == CommandKnown(stored)
    assert len(await all_events(store)) == 1
    assert await store.read_models.get("orders", ONE.tenant_id, "o-1") is None


@pytest.mark.parametrize("status", [CommandStatus.REJECTED, CommandStatus.PARKED])
async def test_a_command_may_end_without_events(store: Store, status: CommandStatus) -> None:
    new = command()
    [verdict] = await committed(store, finish(new, status=status, outcome=b"why"))
    stored = await store.commands.get(new.key)
    assert stored is not None
    assert verdict.last == 0
    assert (stored.status, stored.position, stored.outcome) == (status, 0, b"why")
    assert await store.events.head() == 0


async def test_one_command_writes_several_aggregates(store: Store) -> None:
    stock = order("s-1", domain="Stock")
    await committed(store, append(stock, 2))
    [verdict] = await committed(
        store,
        finish(
            checks=[check(ONE, 0), check(stock, 2)],
            events=[event(ONE, 1), event(stock, 3, type="Stock.Taken"), event(ONE, 2)],
            version=2,
        ),
    )
    assert verdict.last == 5
    assert [(found.key, found.version) for found in (await all_events(store))[2:]] == [(ONE, 1), (stock, 3), (ONE, 2)]
    assert [await store.events.version(key) for key in (ONE, stock)] == [(2, False), (3, False)]


async def test_all_violated_checks_are_told_and_nothing_is_stored(store: Store) -> None:
    await committed(store, append(ONE, 3))
    new = command()
    refused = finish(
        new,
        checks=[check(ONE, 2), check(TWO, 0), check(order("o-3"), 1)],
        events=[event(ONE, 3)],
        states=[row("o-1")],
        closes=[TWO],
        version=3,
    )
    assert await commit_one(store, refused) == VersionConflict(
        (violation(ONE, 2, 3), violation(order("o-3"), 1, 0)),
    )
    assert await store.commands.get(new.key) is None
    assert await store.events.version(TWO) == (0, False)
    assert await store.read_models.get("orders", ONE.tenant_id, "o-1") is None
    assert len(await all_events(store)) == 3


async def test_an_aggregate_that_is_only_read_is_checked_too(store: Store) -> None:
    await committed(store, append(TWO, 2))
    refused = finish(checks=[check(ONE, 0), check(TWO, 1)], events=[event(ONE, 1)], version=1)
    assert await commit_one(store, refused) == VersionConflict((violation(TWO, 1, 2),))
    await committed(store, finish(checks=[check(ONE, 0), check(TWO, 2)], events=[event(ONE, 1)], version=1))
    assert await store.events.version(TWO) == (2, False)


async def test_checks_see_the_requests_before_them_in_the_batch(store: Store) -> None:
    verdicts = await commit(store, append(ONE), append(ONE), append(ONE, after=1), append(ONE, 2, after=2))
    assert [type(verdict) for verdict in verdicts] == [Committed, VersionConflict, Committed, Committed]
    assert verdicts[1] == VersionConflict((violation(ONE, 0, 1),))
    assert [found.version for found in await all_events(store)] == [1, 2, 3, 4]


async def test_a_refused_request_leaves_the_others_alone(store: Store) -> None:
    await committed(store, append(ONE))
    key = await accept(store, command())
    verdicts = await commit(
        store,
        append(TWO),
        append(ONE),
        finish(CommandKey("acme", "unknown")),
        finish(key, checks=[check(TWO, 1)], events=[event(TWO, 2)], version=2),
        append(order("o-3"), 2),
    )
    assert [type(verdict) for verdict in verdicts] == [Committed, VersionConflict, CommandNotOpen, Committed, Committed]
    assert [verdict.last for verdict in verdicts if isinstance(verdict, Committed)] == [2, 3, 5]
    assert [found.key for found in await all_events(store)] == [ONE, TWO, TWO, order("o-3"), order("o-3")]


async def test_the_answer_about_the_command_comes_before_the_conflict(store: Store) -> None:
    new = command()
    await committed(store, finish(new))
    conflicting = finish(new, checks=[check(ONE, 9)])
    assert isinstance(await commit_one(store, conflicting), CommandKnown)


async def test_an_aggregate_is_closed_for_good(store: Store) -> None:
    closing = finish(checks=[check(ONE, 0)], events=[event(ONE, 1)], closes=[ONE], version=1)
    await committed(store, closing, append(TWO))
    assert await store.events.version(ONE) == (1, True)
    assert await store.events.version(TWO) == (1, False)
    await committed(store, append(ONE, after=1))
    assert await store.events.version(ONE) == (2, True)


async def test_an_aggregate_is_closed_without_an_event(store: Store) -> None:
    await committed(store, append(ONE))
    await committed(store, finish(checks=[check(ONE, 1)], closes=[ONE], version=1))
    assert await store.events.version(ONE) == (1, True)


async def test_tenants_and_domains_may_use_the_same_id(store: Store) -> None:
    keys = [order("x"), order("x", tenant_id="other"), order("x", domain="Stock")]
    await committed(store, *(append(key, number) for number, key in enumerate(keys, start=1)))
    assert [await store.events.version(key) for key in keys] == [(1, False), (2, False), (3, False)]
    assert await store.events.version(order("x", tenant_id="other", domain="Stock")) == (0, False)


CONTRADICTIONS = {
    "an event without a check": finish(events=[event(ONE, 1)]),
    "a gap after the check": finish(checks=[check(ONE, 0)], events=[event(ONE, 2)]),
    "a gap between events": finish(checks=[check(ONE, 0)], events=[event(ONE, 1), event(ONE, 3)]),
    "a version twice": finish(checks=[check(ONE, 0)], events=[event(ONE, 1), event(ONE, 1)]),
    "a closed aggregate without a check": finish(closes=[ONE]),
    "an end that is none": finish(status=CommandStatus.ACCEPTED),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
async def test_a_request_that_contradicts_itself_is_a_bug_of_the_caller(store: Store, name: str) -> None:
    broken: FinishCommand = CONTRADICTIONS[name]
    with pytest.raises(ValueError, match=r"\w"):
        await commit(store, append(TWO), broken)
    assert await all_events(store) == []
    await committed(store, append(TWO))


async def test_what_is_empty_stays_empty(store: Store) -> None:
    """An empty message has no bytes at all."""
    new = replace(command(), fingerprint=b"", command=b"", context=b"")
    empty = finish(new, checks=[check(ONE, 0)], events=[event(ONE, 1, record=b"")], outcome=b"", version=1)
    await committed(store, replace(empty, states=(row("o-1", content=b""),)))
    stored = await store.commands.get(new.key)
    assert stored is not None
    assert (stored.fingerprint, stored.command, stored.context, stored.outcome) == (b"", b"", b"", b"")
    assert [found.record for found in await all_events(store)] == [b""]
    found = await store.read_models.get("orders", ONE.tenant_id, "o-1")
    assert found is not None
    assert found.row == b""
    key = await accept(store, command())
    await committed(store, finish(key, status=CommandStatus.REJECTED, outcome=b""))


async def test_recorded_at_never_falls(store: Store) -> None:
    await committed(store, append(ONE), append(TWO))
    for version in range(1, 20):
        await committed(store, append(ONE, after=version))
    times = [found.recorded_at for found in await all_events(store)]
    assert times == sorted(times)


async def test_a_state_is_refreshed_only_at_its_version(store: Store) -> None:
    await committed(store, append(ONE, 2))
    old = RefreshState(key=ONE, version=Version(1), state=row("o-1", content=b"old"))
    new = RefreshState(key=ONE, version=Version(2), state=row("o-1", content=b"new", version=2))
    assert await commit(store, old, new) == [Refreshed(False), Refreshed(True)]
    found = await store.read_models.get("orders", ONE.tenant_id, "o-1")
    assert found is not None
    assert (found.row, found.version) == (b"new", 2)
    verdicts = await commit(store, append(ONE, after=2), new)
    assert verdicts[1] == Refreshed(False)
