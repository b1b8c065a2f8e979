"""Commands that are accepted, started, cancelled and retried through EventStore.commit."""

from collections.abc import Callable

import pytest

from comby.server.domain.identity import CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, StoredCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    Committed,
    RetryCommand,
    StartCommand,
    Write,
)
from comby.server.ports.store import Store
from tests.contract.making import TENANT, accept, command, commit, commit_one, finish, order, park

FINAL = [CommandStatus.EXECUTED, CommandStatus.REJECTED, CommandStatus.CANCELLED]


async def test_an_accepted_command_is_stored_as_given(store: Store) -> None:
    new = command("r-1", not_before=5, expected_version=Version(3), attempts=2)
    verdict = await commit_one(store, AcceptCommand(command=new))
    assert isinstance(verdict, CommandAccepted)
    assert await store.commands.get(new.key) == StoredCommand(
        key=CommandKey(TENANT, "r-1"),
        aggregate=order(),
        accept_seq=verdict.accept_seq,
        partition=7,
        fingerprint=new.fingerprint,
        type=new.type,
        command=new.command,
        context=new.context,
        expected_version=Version(3),
        not_before=5,
        status=CommandStatus.ACCEPTED,
        attempts=2,
        accepted_at=verdict.accepted_at,
        finished_at=None,
        version=Version(0),
        position=Position(0),
        outcome=b"",
    )


async def test_a_known_key_is_answered_with_the_first_command(store: Store) -> None:
    await accept(store, command("r-1"))
    stored = await store.commands.get(CommandKey(TENANT, "r-1"))
    assert stored is not None
    assert await commit(store, AcceptCommand(command=command("r-1", type="Order.Other")), finish(command("r-1"))) == [
        CommandKnown(stored),
        CommandKnown(stored),
    ]
    assert await store.commands.get(CommandKey(TENANT, "r-1")) == stored


async def test_the_same_request_id_of_another_tenant_is_another_command(store: Store) -> None:
    await accept(store, command("r-1"))
    verdict = await commit_one(store, AcceptCommand(command=command("r-1", aggregate=order(tenant_id="other"))))
    assert isinstance(verdict, CommandAccepted)


async def test_acceptance_has_an_order_across_batches_and_inside_them(store: Store) -> None:
    first = await commit(store, AcceptCommand(command=command()), AcceptCommand(command=command()))
    second = await commit(store, finish(command()), AcceptCommand(command=command()))
    sequence = [verdict.accept_seq for verdict in [*first, *second] if isinstance(verdict, CommandAccepted)]
    assert len(sequence) == 3
    assert sequence == sorted(set(sequence))


async def test_each_start_counts_an_attempt(store: Store) -> None:
    key = await accept(store, command(attempts=1))
    assert await commit(store, StartCommand(key=key), StartCommand(key=key)) == [CommandStarted(2), CommandStarted(3)]
    assert await commit(store, StartCommand(key=key)) == [CommandStarted(4)]
    stored = await store.commands.get(key)
    assert stored is not None
    assert stored.attempts == 4


def finish_by_key(key: CommandKey) -> Write:
    return finish(key)


def start(key: CommandKey) -> Write:
    return StartCommand(key=key)


def cancel(key: CommandKey) -> Write:
    return CancelCommand(key=key, outcome=b"x")


def retry(key: CommandKey) -> Write:
    return RetryCommand(key=key)


MOVES: dict[str, Callable[[CommandKey], Write]] = {
    "start": start,
    "finish": finish_by_key,
    "cancel": cancel,
    "retry": retry,
}


@pytest.mark.parametrize("move", MOVES)
async def test_no_unknown_command_is_moved(store: Store, move: str) -> None:
    key = CommandKey(TENANT, "unknown")
    assert await commit_one(store, MOVES[move](key)) == CommandNotOpen(None)
    assert await store.commands.get(key) is None


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("status", FINAL)
async def test_no_final_command_is_moved(store: Store, move: str, status: CommandStatus) -> None:
    new = command()
    await commit(store, finish(new, status=status))
    stored = await store.commands.get(new.key)
    assert await commit_one(store, MOVES[move](new.key)) == CommandNotOpen(stored)
    assert await store.commands.get(new.key) == stored


@pytest.mark.parametrize("move", ["start", "finish"])
async def test_a_parked_command_is_neither_started_nor_finished(store: Store, move: str) -> None:
    key = await park(store, command())
    stored = await store.commands.get(key)
    assert await commit_one(store, MOVES[move](key)) == CommandNotOpen(stored)
    assert await store.commands.get(key) == stored


async def test_an_accepted_command_is_not_retried(store: Store) -> None:
    key = await accept(store, command())
    assert await commit_one(store, RetryCommand(key=key)) == CommandNotOpen(await store.commands.get(key))


async def test_a_command_that_has_not_begun_is_cancelled(store: Store) -> None:
    key = await accept(store, command())
    verdict = await commit_one(store, CancelCommand(key=key, outcome=b"\xffgiven up"))
    assert verdict == CommandMoved(await store.commands.get(key))  # type: ignore[arg-type]
    assert isinstance(verdict, CommandMoved)
    assert (verdict.stored.status, verdict.stored.outcome) == (CommandStatus.CANCELLED, b"\xffgiven up")
    assert verdict.stored.finished_at is not None


async def test_a_command_that_has_begun_is_not_cancelled(store: Store) -> None:
    key = await accept(store, command())
    verdicts = await commit(store, StartCommand(key=key), CancelCommand(key=key, outcome=b""))
    assert verdicts == [CommandStarted(1), CommandNotOpen(await store.commands.get(key))]


async def test_a_parked_command_is_cancelled_whatever_its_attempts(store: Store) -> None:
    key = await park(store, command(attempts=5))
    verdict = await commit_one(store, CancelCommand(key=key, outcome=b"given up"))
    assert isinstance(verdict, CommandMoved)
    assert (verdict.stored.status, verdict.stored.attempts) == (CommandStatus.CANCELLED, 5)


async def test_a_retried_command_joins_the_tail_as_new(store: Store) -> None:
    key = await park(store, command(attempts=5))
    other = await accept(store, command())
    before, behind = await store.commands.get(key), await store.commands.get(other)
    verdict = await commit_one(store, RetryCommand(key=key))
    assert isinstance(verdict, CommandMoved)
    assert verdict.stored == await store.commands.get(key)
    assert before is not None
    assert behind is not None
    assert verdict.stored.accept_seq > behind.accept_seq
    moved = verdict.stored
    assert (moved.status, moved.attempts, moved.outcome, moved.finished_at) == (CommandStatus.ACCEPTED, 0, b"", None)
    assert (moved.command, moved.accepted_at) == (before.command, before.accepted_at)


async def test_a_batch_is_as_good_as_its_requests_one_by_one(store: Store) -> None:
    new = command()
    writes: list[Write] = [
        AcceptCommand(command=new),
        StartCommand(key=new.key),
        finish(new.key, status=CommandStatus.PARKED, outcome=b"parked"),
        RetryCommand(key=new.key),
        StartCommand(key=new.key),
        finish(new.key, outcome=b"done"),
        RetryCommand(key=new.key),
        AcceptCommand(command=new),
    ]
    together = await commit(store, *writes)
    kinds = [type(verdict) for verdict in together]
    assert kinds == [
        CommandAccepted,
        CommandStarted,
        Committed,
        CommandMoved,
        CommandStarted,
        Committed,
        CommandNotOpen,
        CommandKnown,
    ]
    stored = await store.commands.get(new.key)
    assert stored is not None
    assert together[-2:] == [CommandNotOpen(stored), CommandKnown(stored)]
    assert (stored.status, stored.attempts, stored.outcome) == (CommandStatus.EXECUTED, 1, b"done")


async def test_an_empty_batch_has_no_verdicts(store: Store) -> None:
    assert await commit(store) == []
