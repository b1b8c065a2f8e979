"""Reactors: at least once, in order per aggregate; a failure makes only its own aggregate wait."""

import asyncio
from typing import ClassVar

import pytest

from comby.facade.v1.projection_pb2 import ParkedKey
from comby.server import ReactionContext, Reactor, Recorded, reacts
from tests.contract.facade.bank_calls import account, executed, new_id, opened
from tests.contract.facade.conftest import DURABLE, Serve
from tests.contract.facade.driver import Driver, Refused
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import AccountOpened, Deposit, Deposited, Misbehave, Noted, Withdraw
from tests.domains.controls import Controls


class Collector(Reactor):
    """Notes what it handles, and takes a fee of 1 from every deposit of 100."""

    name = "collector"
    max_attempts: ClassVar[int] = 2

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    @reacts(AccountOpened)
    async def opened(self, recorded: Recorded[AccountOpened], context: ReactionContext) -> None:
        await self._controls.note(f"opened {recorded.event.owner} replay={context.replay}")

    @reacts(Deposited)
    async def deposited(self, recorded: Recorded[Deposited], context: ReactionContext) -> None:
        event = recorded.event
        await self._controls.note(f"try {event.seq}")
        self._controls.meet(f"seq {event.seq}")
        if event.amount == 100:
            outcome = await context.dispatch(Withdraw(account_id=recorded.aggregate_id, amount=1))
            await self._controls.note(f"fee {outcome.executed} {outcome.reason}")
        if event.amount == 200:
            outcome = await context.dispatch(Withdraw(account_id=recorded.aggregate_id, amount=1_000_000))
            await self._controls.note(f"fee {outcome.executed} {outcome.reason}")
        if event.amount == 300:
            for key in ("one", "two"):
                await context.dispatch(Withdraw(account_id=recorded.aggregate_id, amount=1), key=key)
        self._controls.meet(f"after {event.seq}")
        await self._controls.note(f"done {event.seq}")


class FromStart(Collector):
    """Begins with the first event."""

    from_start: ClassVar[bool] = True


class Replaying(FromStart):
    """May also follow up events that are older than itself."""

    dispatch_on_replay: ClassVar[bool] = True


async def deposits(driver: Driver, account_id: str, *numbers: int, amount: int = 1) -> None:
    for seq in numbers:
        await executed(driver, Deposit(account_id=account_id, amount=amount, seq=seq))


async def parked(driver: Driver) -> ParkedKey:
    """Wait until an aggregate is parked."""
    while True:
        for key in await driver.parked("collector"):
            if key.parked:
                return key
        await asyncio.sleep(0.005)


async def test_events_are_handled_in_order_and_once_where_nothing_fails(serve: Serve, controls: Controls) -> None:
    async with serve(app=bank(controls, Collector(controls))) as service:
        account_id = await opened(service.driver)
        await deposits(service.driver, account_id, *range(1, 21))
        await controls.noted("done 20")

        assert [f"done {seq}" for seq in range(1, 21)] == [line for line in controls.trace if "done" in line]
        while (consumer := (await service.driver.consumers())["collector"]).position < 21:
            await asyncio.sleep(0.001)
        assert (21, 0, False) == (consumer.head, consumer.parked_keys, consumer.HasField("failure"))


async def test_a_dispatched_command_takes_effect_once_and_tells_how_it_ended(serve: Serve, controls: Controls) -> None:
    """The reaction fails after it has dispatched, as if the process had ended there, and runs again."""
    async with serve(app=bank(controls, Collector(controls))) as service:
        account_id = await opened(service.driver)
        controls.faults.add("after 1")
        await deposits(service.driver, account_id, 1, amount=100)
        await controls.noted("fee True ")
        controls.faults.clear()
        await controls.noted("done 1")
        await deposits(service.driver, account_id, 2, amount=200)
        await controls.noted("done 2")
        await deposits(service.driver, account_id, 3, amount=300)
        await controls.noted("done 3")

        assert controls.trace.count("fee True ") == 2
        assert controls.trace.count("fee False INSUFFICIENT_FUNDS") == 1
        assert 100 - 1 + 200 + 300 - 2 == (await account(service.driver, account_id)).balance
        record = (await service.driver.list(type="Bank.Withdraw"))[0][-1]
        assert "reactor:collector" == record.context.actor_id


async def test_only_the_failing_aggregate_waits_until_it_is_retried(serve: Serve, controls: Controls) -> None:
    async with serve(app=bank(controls, Collector(controls))) as service:
        driver = service.driver
        bad, good = await opened(driver), await opened(driver)
        controls.faults.add("seq 1")
        await deposits(driver, bad, 1, 2, 3)
        await deposits(driver, good, 11, 12)
        await controls.noted("done 12")
        key = await parked(driver)

        assert (bad, "Bank", 2, 3) == (key.aggregate_id, key.domain, key.failure.attempts, key.failure.position)
        assert "" != key.failure.incident
        assert controls.trace.count("try 1") == 2
        assert "try 2" not in controls.trace
        assert 1 == (await driver.consumers())["collector"].parked_keys

        controls.faults.clear()
        await driver.resolve(key, skip=False)
        await controls.noted("done 3")
        assert ["done 1", "done 2", "done 3"] == [one for one in controls.trace if one in _DONE]
        await _nobody_waits(driver)
        await deposits(driver, bad, 4)
        await controls.noted("done 4")


async def test_a_parked_event_is_skipped(serve: Serve, controls: Controls) -> None:
    async with serve(app=bank(controls, Collector(controls))) as service:
        driver = service.driver
        account_id = await opened(driver)
        controls.faults.add("seq 1")
        await deposits(driver, account_id, 1, 2, 3)

        await driver.resolve(await parked(driver), skip=True)
        await controls.noted("done 3")

        assert ["done 2", "done 3"] == [one for one in controls.trace if one in _DONE]
        await _nobody_waits(driver)


async def test_keys_of_another_tenant_are_not_known(serve: Serve, controls: Controls) -> None:
    async with serve(app=bank(controls, Collector(controls))) as service:
        driver = service.driver
        account_id = await opened(driver)
        controls.faults.add("seq 1")
        await deposits(driver, account_id, 1)
        key = await parked(driver)

        assert [] == list(await driver.parked("collector", tenant="other"))
        with pytest.raises(Refused, match="CONSUMER_NOT_FOUND"):
            await driver.resolve(key, skip=True, tenant="other")
        with pytest.raises(Refused, match="CONSUMER_NOT_FOUND"):
            await driver.resolve(ParkedKey(reactor="collector", domain="Bank", aggregate_id=new_id()), skip=True)
        with pytest.raises(Refused, match="CONSUMER_NOT_FOUND"):
            await driver.parked("nobody")


async def test_a_command_that_ends_parked_makes_the_reaction_wait(serve: Serve, controls: Controls) -> None:
    class Provoking(Reactor):
        name = "collector"
        max_attempts = 1

        @reacts(Noted)
        async def noted(self, recorded: Recorded[Noted], context: ReactionContext) -> None:
            await context.dispatch(Misbehave(account_id=recorded.aggregate_id, how="raise"))

    async with serve(app=bank(controls, Provoking)) as service:
        account_id = await opened(service.driver)
        await executed(service.driver, Misbehave(account_id=account_id, how="many", count=1))

        assert account_id == (await parked(service.driver)).aggregate_id


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_waiting_keys_survive_a_restart(serve: Serve, controls: Controls) -> None:
    app = bank(controls, Collector(controls))
    async with serve(app=app) as service:
        account_id = await opened(service.driver)
        controls.faults.add("seq 1")
        await deposits(service.driver, account_id, 1, 2)
        before = await parked(service.driver)

    async with serve(app=app) as again:
        after = await parked(again.driver)
        await deposits(again.driver, account_id, 3)
        controls.faults.clear()
        await again.driver.resolve(after, skip=False)
        await controls.noted("done 3")

    assert before.failure == after.failure
    assert ["done 1", "done 2", "done 3"] == [one for one in controls.trace if one in _DONE]


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_a_new_reactor_starts_at_the_head(serve: Serve, controls: Controls) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        await deposits(service.driver, account_id, 1)

    async with serve(app=bank(controls, Collector(controls))) as again:
        await deposits(again.driver, account_id, 2)
        await controls.noted("done 2")

    assert ["try 2", "done 2"] == controls.trace


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_a_replay_is_told_and_dispatches_nothing_unless_it_may(serve: Serve, controls: Controls) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        await deposits(service.driver, account_id, 1, amount=100)

    async with serve(app=bank(controls, FromStart(controls))) as again:
        key = await parked(again.driver)
        assert "opened ada replay=True" in controls.trace
        assert 100 == (await account(again.driver, account_id)).balance
        await again.driver.resolve(key, skip=True)
        await opened(again.driver, owner="new")
        await controls.noted("opened new replay=False")

    assert "done 1" not in controls.trace


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_a_replay_may_dispatch_where_the_reactor_says_so(serve: Serve, controls: Controls) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        await deposits(service.driver, account_id, 1, amount=100)

    async with serve(app=bank(controls, Replaying(controls))) as again:
        await controls.noted("done 1")
        assert 99 == (await account(again.driver, account_id)).balance


async def _nobody_waits(driver: Driver) -> None:
    while await driver.parked("collector"):
        await asyncio.sleep(0.001)


_DONE = {f"done {seq}" for seq in range(1, 10)}
