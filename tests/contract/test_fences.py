"""Commands under the ownership of their partition: who lost it writes nothing, and nobody overtakes an older command."""

import pytest

from comby.server.domain.identity import CommandKey
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    Behind,
    CancelCommand,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    Committed,
    Fence,
    Fenced,
    FinishCommand,
    RetryCommand,
    StartCommand,
)
from comby.server.ports.instance_store import InstanceStore
from comby.server.ports.store import Store
from tests.contract.conftest import SHARED
from tests.contract.making import (
    LATE,
    accept,
    all_events,
    check,
    command,
    commit,
    commit_one,
    event,
    finish,
    order,
    park,
    row,
)

pytestmark = pytest.mark.parametrize("adapter", SHARED, indirect=True)
PARTITION = 7
LEASE = 60.0
ONE, TWO = order("o-1"), order("o-2")


@pytest.fixture
def instances(store: Store) -> InstanceStore:
    """What tells the owners, where the store is for several instances."""
    assert store.instances is not None
    return store.instances


@pytest.fixture
async def fence(instances: InstanceStore) -> Fence:
    """The first ownership of the partition of all commands here."""
    for name in ("one", "two"):
        await instances.join(
            name, name=name, address=f"{name}:1", eligible=True, version="1", partitions=128, duties=()
        )
    taken = await instances.take("one", [PARTITION], lease=LEASE)
    return Fence(PARTITION, taken[PARTITION].epoch)


def fenced(target: NewCommand | CommandKey, fence: Fence, *, version: int = 1) -> FinishCommand:
    """End a command of an aggregate with one event, under a fence."""
    request = finish(
        target,
        checks=[check(ONE, version - 1)],
        events=[event(ONE, version)],
        states=[row("o-1", {"status": "open"})],
        version=version,
    )
    return FinishCommand(
        command=request.command,
        status=request.status,
        outcome=request.outcome,
        version=request.version,
        checks=request.checks,
        events=request.events,
        states=request.states,
        fence=fence,
    )


async def give_to_another(instances: InstanceStore, fence: Fence) -> Fence:
    await instances.release("one", {fence.partition: fence.epoch})
    taken = await instances.take("two", [fence.partition], lease=LEASE)
    return Fence(fence.partition, taken[fence.partition].epoch)


async def test_the_owner_writes(store: Store, fence: Fence) -> None:
    key = await accept(store, command(aggregate=TWO))
    verdicts = await commit(store, fenced(command(), fence), StartCommand(key=key, fence=fence))
    assert [type(verdict) for verdict in verdicts] == [Committed, CommandStarted]


async def test_who_was_the_owner_writes_nothing(store: Store, instances: InstanceStore, fence: Fence) -> None:
    new, other = command(), command(aggregate=TWO)
    key = await accept(store, command("stored"))
    after = await give_to_another(instances, fence)
    verdicts = await commit(
        store,
        fenced(new, fence),
        StartCommand(key=key, fence=fence),
        fenced(key, fence),
        finish(other),
        StartCommand(key=key, fence=after),
    )
    assert verdicts[:3] == [Fenced()] * 3
    assert [type(verdict) for verdict in verdicts[3:]] == [Committed, CommandStarted]
    assert await store.commands.get(new.key) is None
    assert await store.read_models.get("orders", ONE.tenant_id, "o-1") is None
    assert await all_events(store) == []
    stored = await store.commands.get(key)
    assert stored is not None
    assert (stored.status, stored.attempts) == (CommandStatus.ACCEPTED, 1)


async def test_a_partition_that_was_given_back_has_no_owner(
    store: Store, instances: InstanceStore, fence: Fence
) -> None:
    await instances.release("one", {fence.partition: fence.epoch})
    assert await commit_one(store, fenced(command(), fence)) == Fenced()
    assert await commit_one(store, fenced(command(), Fence(fence.partition, fence.epoch + 2))) == Fenced()


async def test_who_owns_it_again_does_so_in_another_epoch(store: Store, instances: InstanceStore, fence: Fence) -> None:
    await give_to_another(instances, fence)
    await instances.leave("two")
    again = (await instances.take("one", [PARTITION], lease=LEASE))[PARTITION]
    assert await commit_one(store, fenced(command(), fence)) == Fenced()
    assert isinstance(await commit_one(store, fenced(command(), Fence(PARTITION, again.epoch))), Committed)


@pytest.mark.usefixtures("fence")
async def test_a_partition_that_is_not_known_has_no_owner(store: Store) -> None:
    assert await commit_one(store, fenced(command(), Fence(100_000, 1))) == Fenced()


async def test_the_fence_comes_before_what_is_known(store: Store, instances: InstanceStore, fence: Fence) -> None:
    new = command()
    await commit(store, finish(new))
    await give_to_another(instances, fence)
    assert await commit_one(store, fenced(new, fence)) == Fenced()


async def test_a_new_command_does_not_overtake_one_that_is_accepted(store: Store, fence: Fence) -> None:
    older = await accept(store, command())
    new = command()
    assert await commit_one(store, fenced(new, fence)) == Behind()
    assert await store.commands.get(new.key) is None
    assert isinstance(await commit_one(store, fenced(command(aggregate=TWO), fence)), Committed)
    assert isinstance(await commit_one(store, finish(older, status=CommandStatus.REJECTED)), Committed)
    assert isinstance(await commit_one(store, fenced(new, fence, version=2)), Committed)


async def test_without_a_fence_nobody_is_behind(store: Store) -> None:
    await accept(store, command())
    key = await accept(store, command())
    verdicts = await commit(store, finish(command()), StartCommand(key=key))
    assert [type(verdict) for verdict in verdicts] == [Committed, CommandStarted]


async def test_a_command_that_is_not_due_holds_up_nobody(store: Store, fence: Fence) -> None:
    await accept(store, command(not_before=LATE))
    assert isinstance(await commit_one(store, fenced(command(), fence)), Committed)
    await accept(store, command(not_before=5))
    assert await commit_one(store, fenced(command(), fence, version=2)) == Behind()


async def test_a_command_of_another_tenant_or_domain_holds_up_nobody(store: Store, fence: Fence) -> None:
    await accept(store, command(aggregate=order("o-1", tenant_id="other")))
    await accept(store, command(aggregate=order("o-1", domain="Stock")))
    assert isinstance(await commit_one(store, fenced(command(), fence)), Committed)


async def test_accepted_commands_start_in_their_order(store: Store, fence: Fence) -> None:
    first, second = [await accept(store, command()) for _ in range(2)]
    assert await commit_one(store, StartCommand(key=second, fence=fence)) == Behind()
    verdicts = await commit(
        store,
        StartCommand(key=first, fence=fence),
        StartCommand(key=second, fence=fence),
        fenced(first, fence),
        StartCommand(key=second, fence=fence),
    )
    assert [type(verdict) for verdict in verdicts] == [CommandStarted, Behind, Committed, CommandStarted]


async def test_a_command_that_is_not_open_is_told_so_before_it_is_behind(store: Store, fence: Fence) -> None:
    parked = await park(store, command())
    await accept(store, command())
    assert isinstance(await commit_one(store, StartCommand(key=parked, fence=fence)), CommandNotOpen)
    unknown = StartCommand(key=CommandKey("acme", "unknown"), fence=fence)
    assert await commit_one(store, unknown) == CommandNotOpen(None)


async def test_what_the_batch_itself_accepts_comes_first_too(store: Store, fence: Fence) -> None:
    older, younger = command(), command()
    verdicts = await commit(
        store,
        fenced(command(), fence),
        AcceptCommand(command=older),
        AcceptCommand(command=younger),
        fenced(command(), fence, version=2),
        fenced(command(aggregate=TWO), fence, version=2),
        StartCommand(key=younger.key, fence=fence),
        StartCommand(key=older.key, fence=fence),
        CancelCommand(key=younger.key, outcome=b""),
        fenced(older.key, fence, version=3),
        fenced(command(), fence, version=4),
    )
    assert [type(verdict) for verdict in verdicts] == [
        Committed,
        CommandAccepted,
        CommandAccepted,
        Behind,
        Committed,
        Behind,
        CommandStarted,
        CommandMoved,
        Committed,
        Committed,
    ]


async def test_a_command_that_is_retried_comes_first_again(store: Store, fence: Fence) -> None:
    parked = await park(store, command())
    verdicts = await commit(
        store,
        fenced(command(), fence),
        RetryCommand(key=parked),
        fenced(command(), fence, version=2),
        StartCommand(key=parked, fence=fence),
    )
    assert [type(verdict) for verdict in verdicts] == [Committed, CommandMoved, Behind, CommandStarted]


async def test_a_known_command_behind_an_older_one_is_behind(store: Store, fence: Fence) -> None:
    """So it is accepted, and answered as known then."""
    new = command()
    await accept(store, new)
    assert await commit_one(store, fenced(new, fence)) == Behind()
    assert isinstance(await commit_one(store, AcceptCommand(command=new)), CommandKnown)
