"""Order per aggregate: execution follows acceptance, whoever waits and however little room there is."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, new_id, opened, sent
from tests.contract.facade.conftest import Serve, Service
from tests.contract.facade.driver import Driver, Refused, Sent
from tests.domains.bank.v1.bank_pb2 import Account, Deposit, DepositAtGate, GetAccount, OpenAccount

EXECUTED_SECONDS = 60.0
"""For one command after the other, each with commits of its own, on a busy machine."""
TINY = Limits(claimed_commands=2, commit_batch=3)
SMALL = Limits(claimed_commands=20, commit_batch=7)


def numbered(account_id: str, count: int, *, first: int = 1) -> list[Sent]:
    """Return deposits with sequence numbers, some of which wait for more than others."""
    waits = (Stage.ACCEPTED, Stage.ACCEPTED, Stage.EXECUTED, Stage.ACCEPTED, Stage.EXECUTED, Stage.EXECUTED)
    return [
        sent(Deposit(account_id=account_id, amount=1, seq=seq), wait=waits[seq % len(waits)])
        for seq in range(first, first + count)
    ]


async def in_order(driver: Driver, account_id: str, commands: Sequence[Sent]) -> None:
    """Wait until all commands are executed, and see that each was executed once and in order."""
    async with asyncio.timeout(EXECUTED_SECONDS):
        while Stage.ACCEPTED == (await driver.wait(commands[-1].request_id, Stage.EXECUTED)).stage:
            continue
    for one in reversed(commands):
        receipt = await driver.wait(one.request_id, Stage.EXECUTED)
        assert Stage.EXECUTED == receipt.stage
    state = await account(driver, account_id)
    assert (len(commands), len(commands), 0) == (state.balance, state.last_seq, state.disorder)


@pytest.mark.parametrize(
    ("limits", "count"), [(Limits(), 2000), (SMALL, 500), (TINY, 150)], ids=["default", "small", "tiny"]
)
async def test_a_pipeline_on_one_aggregate_is_executed_in_order(serve: Serve, limits: Limits, count: int) -> None:
    async with serve(limits=limits) as service:
        account_id = await opened(service.driver)
        commands = numbered(account_id, count)

        receipts = await service.driver.pipeline(commands)

        assert not [receipt for receipt in receipts if receipt.reason]
        await in_order(service.driver, account_id, commands)


async def test_many_aggregates_with_little_room_each_keep_their_order(serve: Serve) -> None:
    async with serve(limits=SMALL) as service:
        ids = [await opened(service.driver) for _ in range(5)]
        commands = {account_id: numbered(account_id, 60) for account_id in ids}
        mixed = [one for group in zip(*commands.values(), strict=True) for one in group]

        await service.driver.pipeline(mixed)

        for account_id, own in commands.items():
            await in_order(service.driver, account_id, own)


async def test_a_burst_above_the_room_is_executed_without_anything_else_happening(serve: Serve) -> None:
    """Nothing runs when the room is exceeded, so nothing that ends can make room."""
    async with serve(limits=Limits(claimed_commands=1)) as service:
        account_id = await opened(service.driver)
        commands = [sent(Deposit(account_id=account_id, amount=1, seq=n), wait=Stage.ACCEPTED) for n in range(1, 51)]

        await service.driver.pipeline(commands)

        await in_order(service.driver, account_id, commands)


async def test_a_waited_command_does_not_overtake_the_backlog(service: Service) -> None:
    account_id = await opened(service.driver)
    gate = service.controls.gate("first")
    first = sent(DepositAtGate(account_id=account_id, gate="first", amount=1, seq=1), wait=Stage.ACCEPTED)
    second = sent(Deposit(account_id=account_id, amount=1, seq=2), wait=Stage.ACCEPTED)
    third = sent(Deposit(account_id=account_id, amount=1, seq=3))
    await service.driver.dispatch(first)
    await gate.reached()
    await service.driver.dispatch(second)
    waiting = asyncio.ensure_future(service.driver.dispatch(third))
    while (await stage_of(service.driver, third.request_id)) is None:
        await asyncio.sleep(0.001)

    gate.open()

    assert Stage.EXECUTED == (await waiting).stage
    await in_order(service.driver, account_id, [first, second, third])


async def test_who_waits_is_not_overtaken_by_one_who_does_not(service: Service) -> None:
    """The one who waits is not stored when the other comes; both are when the handler in front goes on."""
    account_id = await opened(service.driver)
    gate = service.controls.gate("slow")
    slow = sent(DepositAtGate(account_id=account_id, gate="slow", amount=1, seq=1))
    waited = sent(Deposit(account_id=account_id, amount=1, seq=2))
    others = [sent(Deposit(account_id=account_id, amount=1, seq=seq), wait=Stage.ACCEPTED) for seq in (3, 4)]
    calling = asyncio.ensure_future(service.driver.dispatch(slow))
    await gate.reached()
    receipts = asyncio.ensure_future(service.driver.pipeline([waited, *others]))
    for one in (waited, *others):
        while (await stage_of(service.driver, one.request_id)) is None:
            await asyncio.sleep(0.001)

    gate.open()
    await calling
    await receipts

    await in_order(service.driver, account_id, [slow, waited, *others])


async def test_who_waits_behind_a_slow_handler_is_stored_meanwhile(service: Service) -> None:
    """The 50 ms rule: a waited command that is still queued is accepted durably after all."""
    account_id = await opened(service.driver)
    gate = service.controls.gate("slow")
    slow = sent(DepositAtGate(account_id=account_id, gate="slow", amount=1, seq=1))
    behind = [sent(Deposit(account_id=account_id, amount=1, seq=seq)) for seq in (2, 3, 4)]
    calls = [asyncio.ensure_future(service.driver.dispatch(slow))]
    await gate.reached()
    for one in behind:
        calls.append(asyncio.ensure_future(service.driver.dispatch(one)))
        while (await stage_of(service.driver, one.request_id)) is None:
            await asyncio.sleep(0.001)

    assert Stage.ACCEPTED == await stage_of(service.driver, behind[-1].request_id)
    gate.open()
    await asyncio.gather(*calls)

    await in_order(service.driver, account_id, [slow, *behind])


async def test_bounds_of_a_tenant_and_of_all(serve: Serve) -> None:
    async with serve(limits=Limits(open_commands_per_tenant=3, open_commands=5)) as service:
        driver = service.driver
        gate = service.controls.gate("shut")
        ids = {tenant: await opened(driver, tenant=tenant) for tenant in ("a", "b")}

        def blocked(tenant: str) -> Sent:
            command = DepositAtGate(account_id=ids[tenant], gate="shut", amount=1)
            return sent(command, wait=Stage.ACCEPTED, tenant=tenant)

        for _ in range(3):
            await driver.dispatch(blocked("a"))
        over = blocked("a")
        with pytest.raises(Refused) as refused:
            await driver.dispatch(over)
        assert ("OVERLOADED", "open_commands_per_tenant", "3") == _limit(refused.value)
        for _ in range(2):
            await driver.dispatch(blocked("b"))
        with pytest.raises(Refused) as refused:
            await driver.dispatch(blocked("b"))
        assert ("OVERLOADED", "open_commands", "5") == _limit(refused.value)
        with pytest.raises(Refused, match="COMMAND_NOT_FOUND"):
            await driver.get(over.request_id, tenant="a")

        gate.open()
        await _until_room(driver, over)
        assert 4 == (await driver.ask(GetAccount(account_id=ids["a"]), Account, tenant="a")).balance


async def test_the_count_of_open_commands_is_right_after_much_coming_and_going(serve: Serve) -> None:
    """Commands that are claimed again, cancelled or refused are counted out once."""
    async with serve(limits=Limits(claimed_commands=3, open_commands_per_tenant=60)) as service:
        driver = service.driver
        account_id = await opened(driver)
        for _ in range(4):
            commands = [sent(Deposit(account_id=account_id, amount=1), wait=Stage.ACCEPTED) for _ in range(50)]
            await driver.pipeline(commands)
            for one in commands:
                await driver.wait(one.request_id, Stage.EXECUTED)
        later = [
            sent(Deposit(account_id=account_id, amount=1), wait=Stage.ACCEPTED, not_before=2**52) for _ in range(60)
        ]
        await driver.pipeline(later)

        with pytest.raises(Refused, match="OVERLOADED"):
            await driver.dispatch(sent(Deposit(account_id=account_id, amount=1)))
        for one in later[:10]:
            await driver.cancel(one.request_id)
        await driver.pipeline(
            [sent(Deposit(account_id=account_id, amount=1), wait=Stage.ACCEPTED, not_before=2**52) for _ in range(10)]
        )
        with pytest.raises(Refused, match="OVERLOADED"):
            await driver.dispatch(sent(Deposit(account_id=account_id, amount=1)))


async def test_a_cancellation_that_nobody_waits_for_counts(serve: Serve) -> None:
    """Its caller goes while the store writes. Seen failing: counted by the call, not by the verdict."""
    async with serve(limits=Limits(open_commands_per_tenant=3)) as service:
        driver = service.driver
        later = [sent(OpenAccount(owner="late"), wait=Stage.ACCEPTED, not_before=2**52) for _ in range(3)]
        await driver.pipeline(later)
        for one in later[:2]:
            call = asyncio.ensure_future(driver.cancel(one.request_id))
            await asyncio.sleep(0)
            call.cancel()
        for one in later[:2]:
            if Stage.CANCELLED != (await driver.wait(one.request_id, Stage.EXECUTED, timeout=0.2)).stage:
                with contextlib.suppress(Refused):  # it may be finished just now
                    await driver.cancel(one.request_id)  # the call had not left the caller

        for _ in range(2):
            await driver.dispatch(sent(OpenAccount(owner="late"), wait=Stage.ACCEPTED, not_before=2**52))

        with pytest.raises(Refused, match="OVERLOADED"):
            await driver.dispatch(sent(OpenAccount(owner="late")))


async def stage_of(driver: Driver, request_id: str) -> Stage | None:
    """Return how far a command has come, None while it is not stored."""
    try:
        return (await driver.wait(request_id, Stage.ACCEPTED, timeout=0)).stage
    except Refused as refused:
        if refused.reason != "COMMAND_NOT_FOUND":
            raise
        return None


async def _until_room(driver: Driver, command: Sent) -> None:
    while True:
        try:
            await driver.dispatch(Sent(command=command.command, request_id=new_id(), tenant=command.tenant))
            return
        except Refused as refused:
            if refused.reason != "OVERLOADED":
                raise
            await asyncio.sleep(0.001)


def _limit(refused: Refused) -> tuple[str, str, str]:
    return refused.reason, refused.metadata["limit"], refused.metadata["allowed"]
