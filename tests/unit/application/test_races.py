"""Moments that a caller can hardly hit: a store that answers when the test lets it."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from comby.server import Facade, Recorded, Rows, projects
from comby.server.application import executor
from comby.server.application.errors import AggregateNotFound
from comby.server.application.limits import Limits
from comby.server.application.requests import QueryRequest, Receipt, Stage
from comby.server.bootstrap import open_store
from comby.server.domain.identity import Version
from comby.server.domain.rejections import Rejected
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import FinishCommand
from tests.domains.bank.aggregates import AccountAggregate
from tests.domains.bank.app import bank
from tests.domains.bank.handlers import Totals
from tests.domains.bank.v1.bank_pb2 import (
    Account,
    AccountOpened,
    CloseAccount,
    Deposit,
    DepositAtGate,
    GetAccount,
    OpenAccount,
    OpenVault,
    Total,
    WatchAccount,
    Withdraw,
)
from tests.domains.controls import Controls, Gate
from tests.unit.application.bank_commands import CONTEXT, dispatch, do


class Held:
    """A store's room that answers one method only when a gate is open; it has the answer before."""

    def __init__(self, room: Any, method: str) -> None:
        self._room = room
        self._method = method
        self.gate: Gate | None = None
        self.skip = 0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        if name != self._method:
            return getattr(self._room, name)

        async def held(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            answer = await getattr(self._room, name)(*args, **kwargs)
            if self.gate is not None and self.skip:
                self.skip -= 1
            elif self.gate is not None:
                gate, self.gate = self.gate, None  # only one call is held
                await gate.arrive()
            return answer

        return held


class Away:
    """A store's room one method of which finds the store away, for as long as the test says so."""

    def __init__(self, room: Any, method: str) -> None:
        self._room = room
        self._method = method
        self.away = False
        self.refused = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        if name != self._method or not self.away:
            return getattr(self._room, name)

        async def refused(*args: Any, **kwargs: Any) -> Any:
            self.refused.set()
            raise StoreUnavailable("away")

        return refused


async def ask(facade: Facade, account_id: str) -> Account:
    query = GetAccount(account_id=account_id)
    request = QueryRequest(type=query.DESCRIPTOR.full_name, payload=query.SerializeToString(), context=CONTEXT)
    answer = (await facade.dispatch_query(request)).message
    assert isinstance(answer, Account)
    return answer


@pytest.mark.parametrize("method", ["version", "get"])
async def test_a_state_that_was_read_before_a_commit_does_not_replace_the_newer_one(
    tmp_path: Path, method: str
) -> None:
    async with open_store("sqlite://:memory:") as store:
        events, rows = Held(store.events, "version"), Held(store.read_models, "get")
        held = events if method == "version" else rows
        wrapped = replace(store, events=events, read_models=rows)  # type: ignore[arg-type]
        facade = Facade("bank", wrapped, Limits(cached_aggregates=1))
        bank(Controls())(facade)
        async with facade:
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            await do(facade, OpenAccount(owner="bob"))  # the first is out of memory now
            held.gate = gate = Gate()
            reading = asyncio.ensure_future(ask(facade, account_id))
            await gate.reached()
            await do(facade, Deposit(account_id=account_id, amount=5))
            gate.open()
            await reading

            assert 5 == (await ask(facade, account_id)).balance
            assert 2 == (await do(facade, Deposit(account_id=account_id, amount=1))).aggregate_version - 1


async def test_an_aggregate_that_closes_while_it_is_read_is_closed() -> None:
    async with open_store("sqlite://:memory:") as store:
        events = Held(store.events, "version")
        facade = Facade("bank", replace(store, events=events), Limits(cached_aggregates=1))  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            await do(facade, OpenAccount(owner="bob"))
            events.gate = gate = Gate()
            reading = asyncio.ensure_future(ask(facade, account_id))
            await gate.reached()
            await do(facade, CloseAccount(account_id=account_id))
            await do(facade, OpenAccount(owner="eve"))  # the closed one is out of memory when the read goes on
            gate.open()
            with pytest.raises(AggregateNotFound):
                await reading

            receipt = await do(facade, Deposit(account_id=account_id, amount=5))
            assert receipt.error is not None
            assert ("AGGREGATE_NOT_FOUND", Version(0)) == (receipt.error.reason, receipt.aggregate_version)


async def test_a_watch_begins_with_what_the_store_has() -> None:
    """The state in memory is behind the tail between a commit and its verdict."""
    async with open_store("sqlite://:memory:") as store:
        events = Held(store.events, "commit")
        facade = Facade("bank", replace(store, events=events))  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            events.gate = gate = Gate()
            depositing = asyncio.ensure_future(do(facade, Deposit(account_id=account_id, amount=5)))
            await gate.reached()
            tail = facade._running.tail
            await tail.level.above(Version(1), timeout=5.0)  # type: ignore[arg-type]  # it looks by itself once a second
            query = WatchAccount(account_id=account_id)
            request = QueryRequest(type=query.DESCRIPTOR.full_name, payload=query.SerializeToString(), context=CONTEXT)
            states = facade.stream_query(request)
            first = await anext(states)
            gate.open()
            await depositing
            await states.aclose()  # type: ignore[attr-defined]

    assert isinstance(first, Account)
    assert 5 == first.balance


async def claims_at_rest(commands: Held) -> None:
    """Wait until the claims that belong to the start are over."""
    while commands.calls < 2:
        await asyncio.sleep(0)


async def test_a_command_that_ends_while_it_is_read_is_not_claimed_again() -> None:
    async with open_store("sqlite://:memory:") as store:
        commands, controls = Held(store.commands, "open_keys"), Controls()
        facade = Facade("bank", replace(store, commands=commands))  # type: ignore[arg-type]
        bank(controls)(facade)
        async with facade:
            await claims_at_rest(commands)
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            slow = DepositAtGate(account_id=account_id, gate="slow", amount=1)
            receipt = await dispatch(facade, slow, Stage.ACCEPTED)
            await controls.gate("slow").reached()
            commands.gate = gate = Gate()
            scheduled = await dispatch(facade, OpenAccount(owner="bob"), Stage.ACCEPTED, not_before=1)
            await gate.reached()
            controls.gate("slow").open()
            await facade.wait_for_command(CONTEXT, receipt.request_id, Stage.EXECUTED, None)
            gate.open()
            await facade.wait_for_command(CONTEXT, scheduled.request_id, Stage.EXECUTED, None)
            await facade.drain(5.0)

            assert (0, 0) == (facade._running.commands.in_flight.open.total, len(facade._running.commands.in_flight))


async def test_a_command_that_is_put_aside_while_rows_are_read_is_not_overtaken() -> None:
    async with open_store("sqlite://:memory:") as store:
        commands, controls = Held(store.commands, "open_keys"), Controls()
        wrapped = replace(store, commands=commands)  # type: ignore[arg-type]
        facade = Facade("bank", wrapped, Limits(claimed_commands=2))
        bank(controls)(facade)
        async with facade:
            await claims_at_rest(commands)
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            commands.gate = gate = Gate()
            commands.skip = 1

            def deposit(seq: int, wait: Stage) -> asyncio.Future[Receipt]:
                return dispatch(facade, Deposit(account_id=account_id, amount=1, seq=seq), wait)

            await asyncio.gather(*(deposit(seq, Stage.ACCEPTED) for seq in (1, 2, 3)))
            await gate.reached()  # two had room; the third is read
            await deposit(4, Stage.ACCEPTED)
            gate.open()
            await asyncio.sleep(0)
            last = await deposit(5, Stage.EXECUTED)

            assert Stage.EXECUTED == last.stage
            state = await ask(facade, account_id)
            assert (5, 0) == (state.balance, state.disorder)


async def test_a_handler_that_ends_while_its_command_is_being_stored() -> None:
    async with open_store("sqlite://:memory:") as store:
        events, controls = Held(store.events, "commit"), Controls()
        facade = Facade("bank", replace(store, events=events))  # type: ignore[arg-type]
        bank(controls)(facade)
        async with facade:
            account_id = (await dispatch(facade, OpenAccount(owner="ada"), Stage.PROJECTED)).aggregate_id
            slow = DepositAtGate(account_id=account_id, gate="slow", amount=1)
            command = dispatch(facade, slow, Stage.EXECUTED, wait_timeout=0.1)
            await controls.gate("slow").reached()
            events.gate = gate = Gate()
            await gate.reached()  # the wait is over, and the command is being stored
            controls.gate("slow").open()
            for _ in range(20):
                await asyncio.sleep(0)
            gate.open()
            receipt = await command
            done = await facade.wait_for_command(CONTEXT, receipt.request_id, Stage.EXECUTED, None)

            assert (Stage.ACCEPTED, Stage.EXECUTED) == (receipt.stage, done.stage)
            assert 1 == (await ask(facade, account_id)).balance
            stored = (await facade.get_command(CONTEXT, receipt.request_id)).stored
            assert (1, 1) == (stored.attempts, controls.gate("slow").arrivals)


async def test_a_wait_ends_when_what_the_command_wrote_can_be_read() -> None:
    """The store has the command's end before this process knows of it."""
    async with open_store("sqlite://:memory:") as store:
        events = Held(store.events, "commit")
        facade = Facade("bank", replace(store, events=events))  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            account_id = (await dispatch(facade, OpenAccount(owner="ada"), Stage.PROJECTED)).aggregate_id
            events.gate = gate = Gate()
            request_id = "00000000-0000-4000-8000-000000000001"
            depositing = dispatch(
                facade, Deposit(account_id=account_id, amount=5), Stage.EXECUTED, request_id=request_id
            )
            await gate.reached()
            waiting = asyncio.ensure_future(facade.wait_for_command(CONTEXT, request_id, Stage.EXECUTED, None))
            for _ in range(10):
                assert Stage.EXECUTED == (await facade.get_command(CONTEXT, request_id)).receipt.stage
            assert not waiting.done()
            gate.open()

            assert Stage.EXECUTED == (await waiting).stage
            assert 5 == (await ask(facade, account_id)).balance
            assert await waiting == await depositing


class Outage:
    """A store's room of events that can store no end of a command for a while, as on a disk that is almost full."""

    def __init__(self, events: Any, commits: int) -> None:
        self._events = events
        self.left = commits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def commit(self, writes: Any) -> Any:
        if self.left and any(isinstance(write, FinishCommand) for write in writes):
            self.left -= 1
            raise StoreUnavailable("full")
        return await self._events.commit(writes)


async def test_a_command_whose_end_can_not_be_stored_is_not_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its attempt goes on, and is counted once. Seen failing: each try counted as an attempt."""
    monkeypatch.setattr(executor, "STORE_RETRY", 0.001)
    async with open_store("sqlite://:memory:") as store:
        events = Outage(store.events, 0)
        facade = Facade("bank", replace(store, events=events), Limits())  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            events.left = 3 * Limits().attempts
            receipt = await dispatch(facade, Deposit(account_id=account_id, amount=5), Stage.ACCEPTED)
            done = await facade.wait_for_command(CONTEXT, receipt.request_id, Stage.EXECUTED, None)
            stored = await facade.get_command(CONTEXT, receipt.request_id)

            assert (Stage.EXECUTED, 1, 0) == (done.stage, stored.stored.attempts, events.left)


async def test_a_store_that_is_away_at_the_end_keeps_nobody_from_ending() -> None:
    """Seen failing: what a projection could not store ended the end, and left the other parts as they were."""
    async with open_store("sqlite://:memory:") as store:
        events = Away(store.events, "commit")
        facade = Facade("bank", replace(store, events=events))  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            await dispatch(facade, OpenAccount(owner="ada"), Stage.PROJECTED)
            await do(facade, OpenVault())
            while (await facade.consumers())[0].position < 2:  # past an event that is not for it
                await asyncio.sleep(0)
            events.away = True
        assert events.refused.is_set()
        assert [] == [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]


async def test_an_outcome_that_can_not_be_written_is_a_failure_of_its_command_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Seen failing: its aggregate took no command any more."""

    def take_out(self: AccountAggregate, amount: int) -> None:
        raise Rejected("NOT_TODAY", why="\ud800")

    async with open_store("sqlite://:memory:") as store:
        facade = Facade("bank", store, Limits(attempts=1))
        bank(Controls())(facade)
        async with facade:
            account_id = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            with monkeypatch.context() as patch:
                patch.setattr(AccountAggregate, "take_out", take_out)
                assert Stage.PARKED == (await do(facade, Withdraw(account_id=account_id, amount=1))).stage
            assert Stage.EXECUTED == (await do(facade, Deposit(account_id=account_id, amount=1))).stage


async def test_a_rebuild_takes_over_although_the_store_is_away_at_that_moment() -> None:
    """Seen failing: it never did, and no other could be begun."""
    async with open_store("sqlite://:memory:") as store, asyncio.timeout(30):
        checkpoints = Away(store.checkpoints, "switch")
        facade = Facade("bank", replace(store, checkpoints=checkpoints))  # type: ignore[arg-type]
        bank(Controls())(facade)
        async with facade:
            await do(facade, OpenAccount(owner="ada"))
            checkpoints.away = True
            await facade.rebuild_projection("totals")
            await checkpoints.refused.wait()
            checkpoints.away = False
            while [(2, None)] != [(one.generation, one.rebuilding) for one in await facade.consumers()]:
                await asyncio.sleep(0.01)


class LongKeys(Totals):
    """Puts its rows under what the owner is called."""

    @projects(AccountOpened)
    async def opened(self, recorded: Recorded[AccountOpened], rows: Rows[Total]) -> None:
        rows.put(recorded.event.owner, Total(owner="x"))


async def test_a_row_that_can_not_be_stored_is_a_failure_of_its_projection_alone() -> None:
    """Seen failing on PostgreSQL: it failed all that was in its batch, again and again, and nobody was told of what."""
    controls = Controls()
    async with open_store("sqlite://:memory:") as store, asyncio.timeout(30):
        facade = Facade("bank", store)
        bank(controls, totals=LongKeys(controls))(facade)
        async with facade:
            await do(facade, OpenAccount(owner="x" * 1_001))
            while (await facade.consumers())[0].failure is None:
                await asyncio.sleep(0.01)
            assert Stage.EXECUTED == (await do(facade, OpenAccount(owner="ada"))).stage
