"""Stored commands: waited for, shown, listed, scheduled and given up, also across a restart."""

import asyncio
import time

import pytest

from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import DURABLE, Serve, Service
from tests.contract.facade.driver import Refused
from tests.domains.bank.v1.bank_pb2 import Deposit, DepositAtGate, OpenAccount, Withdraw

LATER = 2**52
"""Microseconds since 1970: later than any test runs."""


def soon() -> int:
    """Return a time that has not come when a command is dispatched, and comes while the test waits."""
    return time.time_ns() // 1000 + 300_000


async def test_a_wait_before_during_and_after(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    gate = service.controls.gate("slow")
    command = sent(DepositAtGate(account_id=account_id, gate="slow", amount=1), wait=Stage.ACCEPTED)
    before = [asyncio.ensure_future(driver.wait(command.request_id, stage)) for stage in _GOALS]
    await driver.dispatch(command)
    await gate.reached()
    during = [asyncio.ensure_future(driver.wait(command.request_id, stage)) for stage in _GOALS]
    early = await driver.wait(command.request_id, Stage.EXECUTED, timeout=0.01)
    at_once = (await during[0]).stage

    gate.open()

    reached = [(await one).stage for one in (*before, *during)]
    after = [(await driver.wait(command.request_id, stage)).stage for stage in _GOALS]
    assert [Stage.ACCEPTED, Stage.ACCEPTED] == [early.stage, at_once]
    assert [*_GOALS[1:], *_GOALS[1:]] == [*reached[1:3], *reached[4:6]]
    assert Stage.PROJECTED == after[2]


_GOALS = [Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED]


async def test_what_is_not_known_when_the_wait_ends(service: Service) -> None:
    request_id = new_id()

    with pytest.raises(Refused) as refused:
        await service.driver.wait(request_id, Stage.EXECUTED, timeout=0.05)

    assert ("COMMAND_NOT_FOUND", {"request_id": request_id}) == (refused.value.reason, refused.value.metadata)
    for asking in (service.driver.get, service.driver.retry, service.driver.cancel):
        with pytest.raises(Refused, match="COMMAND_NOT_FOUND"):
            await asking(request_id)


async def test_a_record_tells_the_command_and_its_end(service: Service) -> None:
    account_id = await opened(service.driver)
    command = sent(Deposit(account_id=account_id, amount=1), wait=Stage.ACCEPTED)
    await service.driver.dispatch(command)
    receipt = await service.driver.wait(command.request_id, Stage.EXECUTED)

    record = await service.driver.get(command.request_id.upper())

    assert ("Bank.Deposit", 1, receipt.event_ids) == (record.type, record.attempts, tuple(record.receipt.event_ids))
    assert command.command.SerializeToString() == record.command.value
    assert "default" == record.context.tenant_id
    assert record.finished_at.ToMicroseconds() >= record.accepted_at.ToMicroseconds() > 0


async def test_lists_by_stage_type_and_aggregate_and_by_pages(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    deposits = [(await executed(driver, Deposit(account_id=account_id, amount=1))).request_id for _ in range(5)]
    refused = (await driver.dispatch(sent(Withdraw(account_id=account_id, amount=99)))).request_id
    await opened(driver, tenant="other")

    async def ids(*stages: Stage, **selection: str) -> list[str]:
        return [one.receipt.request_id for one in (await driver.list(*stages, **selection))[0]]  # type: ignore[arg-type]

    assert deposits[::-1] == await ids(type="Bank.Deposit")
    assert [refused] == await ids(Stage.REJECTED)
    assert 7 == len(await ids(aggregate_id=account_id))
    assert 6 == len(await ids(Stage.EXECUTED))
    assert [] == await ids(Stage.PARKED, Stage.CANCELLED)
    assert [] == await ids(type="Bank.Nothing")
    found, token = [], ""
    while True:
        page, token = await driver.list(type="Bank.Deposit", page_size=2, page_token=token)
        found += [one.receipt.request_id for one in page]
        if not token:
            break
    assert deposits[::-1] == found


async def test_a_page_token_is_good_for_its_own_request(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    for _ in range(3):
        await executed(driver, Deposit(account_id=account_id, amount=1))
    _, token = await driver.list(type="Bank.Deposit", page_size=1)

    for other in ({"type": "Bank.Withdraw"}, {"type": "Bank.Deposit", "tenant": "other"}, {}):
        with pytest.raises(Refused, match="INVALID_TOKEN"):
            await driver.list(page_token=token, **other)  # type: ignore[arg-type]
    for rubbish in ("x", "====", token[:-4], "W10"):
        with pytest.raises(Refused, match="INVALID_TOKEN"):
            await driver.list(type="Bank.Deposit", page_token=rubbish)


async def test_a_scheduled_command_waits_for_its_time(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    command = sent(Deposit(account_id=account_id, amount=1, seq=2), not_before=soon())

    receipt = await driver.dispatch(command)
    assert (Stage.ACCEPTED, account_id) == (receipt.stage, receipt.aggregate_id)
    await executed(driver, Deposit(account_id=account_id, amount=1, seq=1))
    done = await driver.wait(command.request_id, Stage.EXECUTED)

    record = await driver.get(command.request_id)
    assert (Stage.EXECUTED, 3) == (done.stage, done.version)
    assert record.finished_at.ToMicroseconds() >= record.not_before.ToMicroseconds() == command.not_before
    assert 0 == (await account(driver, account_id)).disorder


async def test_a_time_that_has_passed_is_now(service: Service) -> None:
    command = sent(OpenAccount(owner="ada"), not_before=1)

    await service.driver.dispatch(command)

    assert Stage.EXECUTED == (await service.driver.wait(command.request_id, Stage.EXECUTED)).stage


async def test_a_scheduled_command_is_cancelled(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    command = sent(Deposit(account_id=account_id, amount=1), not_before=LATER)
    await driver.dispatch(command)
    waiting = asyncio.ensure_future(driver.wait(command.request_id, Stage.EXECUTED))

    await driver.cancel(command.request_id)

    assert (Stage.CANCELLED, "COMMAND_CANCELLED") == ((await waiting).stage, (await waiting).reason)
    assert Stage.CANCELLED == (await driver.dispatch(command)).stage
    with pytest.raises(Refused, match="COMMAND_FINISHED"):
        await driver.cancel(command.request_id)


async def test_a_command_that_is_begun_can_not_be_cancelled_and_one_behind_it_can(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    gate = service.controls.gate("slow")
    begun = sent(DepositAtGate(account_id=account_id, gate="slow", amount=1), wait=Stage.ACCEPTED)
    behind = sent(Deposit(account_id=account_id, amount=10), wait=Stage.ACCEPTED)
    await driver.dispatch(begun)
    await gate.reached()
    await driver.dispatch(behind)

    with pytest.raises(Refused, match="COMMAND_FINISHED"):
        await driver.cancel(begun.request_id)
    await driver.cancel(behind.request_id)
    gate.open()

    assert Stage.EXECUTED == (await driver.wait(begun.request_id, Stage.EXECUTED)).stage
    assert Stage.CANCELLED == (await driver.wait(behind.request_id, Stage.EXECUTED)).stage
    assert 1 == (await account(driver, account_id)).balance


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_what_was_accepted_or_scheduled_goes_on_after_a_restart(serve: Serve) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        gate = service.controls.gate("until the restart")
        behind = [sent(Deposit(account_id=account_id, amount=1, seq=n), wait=Stage.ACCEPTED) for n in range(2, 30)]
        first = DepositAtGate(account_id=account_id, gate="until the restart", amount=1, seq=1)
        commands = [sent(first, wait=Stage.ACCEPTED), *behind]
        await service.driver.pipeline(commands)
        scheduled = sent(OpenAccount(owner="late"), not_before=soon())
        await service.driver.dispatch(scheduled)
        cancelled = sent(OpenAccount(owner="never"), not_before=LATER)
        await service.driver.dispatch(cancelled)
    gate.open()

    async with serve() as again:
        for one in (*commands, scheduled):
            assert Stage.EXECUTED == (await again.driver.wait(one.request_id, Stage.EXECUTED)).stage
        state = await account(again.driver, account_id)
        await again.driver.cancel(cancelled.request_id)

    assert (29, 0) == (state.balance, state.disorder)
