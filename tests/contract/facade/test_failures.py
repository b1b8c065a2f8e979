"""Handlers that fail: attempts, parking, retry and cancel; and what is larger than its limit."""

import pytest

from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, executed, opened, sent
from tests.contract.facade.conftest import Serve, Service
from tests.contract.facade.driver import Refused, Told
from tests.domains.bank.aggregates import SECRET_TEXT, AccountAggregate
from tests.domains.bank.v1.bank_pb2 import Deposit, DepositAtGate, Misbehave

QUICK = Limits(handler_interrupt=0.2, handler_timeout=0.2)


@pytest.mark.parametrize("wait", [Stage.ACCEPTED, Stage.EXECUTED])
async def test_a_handler_that_raises_is_begun_five_times_and_parked(service: Service, wait: Stage) -> None:
    driver = service.driver
    account_id = await opened(driver)
    command = sent(Misbehave(account_id=account_id, how="raise"), wait=wait)

    receipt = await driver.dispatch(command)
    parked = await driver.wait(command.request_id, Stage.EXECUTED)

    assert wait is Stage.ACCEPTED or receipt == parked
    assert (Stage.PARKED, "COMMAND_PARKED", "5") == (parked.stage, parked.reason, parked.metadata["attempts"])
    assert "" != parked.metadata["incident"]
    assert 5 == AccountAggregate.starts[account_id]
    record = await driver.get(command.request_id)
    assert 5 == record.attempts
    assert SECRET_TEXT not in str(record)
    assert SECRET_TEXT not in str(parked)
    listed, _ = await driver.list(Stage.PARKED)
    assert [command.request_id] == [one.receipt.request_id for one in listed]
    assert Stage.EXECUTED == (await executed(driver, Deposit(account_id=account_id, amount=1))).stage


async def test_what_a_failing_handler_did_to_the_state_is_gone(service: Service) -> None:
    account_id = await opened(service.driver)

    await service.driver.dispatch(sent(Misbehave(account_id=account_id, how="spoil")))

    assert "ada" == (await account(service.driver, account_id)).owner
    await executed(service.driver, Deposit(account_id=account_id, amount=1))
    assert "ada" == (await account(service.driver, account_id)).owner


async def test_a_handler_that_succeeds_in_the_end(service: Service) -> None:
    account_id = await opened(service.driver)

    receipt = await service.driver.dispatch(sent(Misbehave(account_id=account_id, how="twice")))

    assert (Stage.EXECUTED, 2, 3) == (receipt.stage, receipt.version, AccountAggregate.starts[account_id])


async def test_a_parked_command_is_retried_behind_what_came_since_with_new_attempts(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    service.controls.faults.add("deposit")
    command = sent(DepositAtGate(account_id=account_id, amount=10, seq=2))
    assert Stage.PARKED == (await driver.dispatch(command)).stage
    await executed(driver, Deposit(account_id=account_id, amount=1, seq=1))

    assert 0 == (await driver.retry(command.request_id)).attempts
    again = await _ended(service, command.request_id)
    assert (Stage.PARKED, "5") == (again.stage, again.metadata["attempts"])
    service.controls.faults.clear()
    await driver.retry(command.request_id)
    done = await _ended(service, command.request_id)

    assert (Stage.EXECUTED, 3) == (done.stage, done.version)
    state = await account(driver, account_id)
    assert (11, 0) == (state.balance, state.disorder)
    assert done == await driver.dispatch(command)
    with pytest.raises(Refused, match="COMMAND_NOT_PARKED"):
        await driver.retry(command.request_id)


async def test_a_parked_command_is_given_up(service: Service) -> None:
    account_id = await opened(service.driver)
    command = sent(Misbehave(account_id=account_id, how="raise"))
    await service.driver.dispatch(command)

    await service.driver.cancel(command.request_id)

    told = await service.driver.wait(command.request_id, Stage.EXECUTED)
    assert (Stage.CANCELLED, "COMMAND_CANCELLED") == (told.stage, told.reason)
    for refusing in (service.driver.retry, service.driver.cancel):
        with pytest.raises(Refused) as refused:
            await refusing(command.request_id)
        assert refused.value.reason in ("COMMAND_NOT_PARKED", "COMMAND_FINISHED")


async def test_an_endless_loop_is_interrupted(serve: Serve) -> None:
    async with serve(limits=QUICK) as service:
        account_id = await opened(service.driver)

        receipt = await service.driver.dispatch(sent(Misbehave(account_id=account_id, how="loop"), wait_timeout=30.0))

        assert (Stage.PARKED, "5") == (receipt.stage, receipt.metadata["attempts"])
        assert 5 == AccountAggregate.starts[account_id]
        await executed(service.driver, Deposit(account_id=account_id, amount=1))


async def test_an_async_handler_runs_out_of_time(serve: Serve) -> None:
    async with serve(limits=QUICK) as service:
        account_id = await opened(service.driver)
        command = sent(DepositAtGate(account_id=account_id, gate="never", amount=1))

        receipt = await service.driver.dispatch(command)

        assert (Stage.PARKED, "5") == (receipt.stage, receipt.metadata["attempts"])
        assert 5 == service.controls.gate("never").arrivals
        await executed(service.driver, Deposit(account_id=account_id, amount=1))


async def test_a_handler_that_raises_cancelled_is_one_that_fails(service: Service) -> None:
    account_id = await opened(service.driver)

    receipt = await service.driver.dispatch(sent(DepositAtGate(account_id=account_id, gate="cancelled", amount=1)))

    assert (Stage.PARKED, "5") == (receipt.stage, receipt.metadata["attempts"])
    await executed(service.driver, Deposit(account_id=account_id, amount=1))


@pytest.mark.parametrize(
    ("how", "count", "limit", "allowed"),
    [("many", 11, "events_per_command", "10"), ("large", 3_000, "event_bytes", "2000")],
)
async def test_too_many_events_or_too_large_ones(serve: Serve, how: str, count: int, limit: str, allowed: str) -> None:
    async with serve(limits=Limits(events_per_command=10, event_bytes=2000)) as service:
        account_id = await opened(service.driver)

        receipt = await service.driver.dispatch(sent(Misbehave(account_id=account_id, how=how, count=count)))

        assert (Stage.REJECTED, "LIMIT_EXCEEDED") == (receipt.stage, receipt.reason)
        assert (limit, allowed) == (receipt.metadata["limit"], receipt.metadata["allowed"])
        assert 1 == (await service.driver.aggregate(account_id)).version
        within = await service.driver.dispatch(sent(Misbehave(account_id=account_id, how="many", count=10)))
        assert (Stage.EXECUTED, 11, 10) == (within.stage, within.version, len(within.event_ids))


async def _ended(service: Service, request_id: str) -> Told:
    told = await service.driver.wait(request_id, Stage.EXECUTED)
    assert Stage.ACCEPTED != told.stage
    return told
