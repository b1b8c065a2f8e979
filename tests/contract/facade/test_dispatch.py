"""Commands from a call to their receipt: types, ids, stages and the end of a wait."""

import asyncio
from uuid import UUID

import pytest

from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import Service
from tests.contract.facade.driver import Refused, Sent
from tests.domains.bank.v1.bank_pb2 import (
    Deposit,
    DepositAtGate,
    GetAccount,
    OpenAccount,
    OpenVault,
    Withdraw,
)


async def test_a_typed_command_is_executed_when_it_is_answered(service: Service) -> None:
    receipt = await service.driver.typed(OpenAccount(owner="ada"))

    assert (Stage.EXECUTED, 1, 1) == (receipt.stage, receipt.version, len(receipt.event_ids))
    assert "ada" == (await account(service.driver, receipt.aggregate_id)).owner
    assert "" != receipt.token


async def test_a_generic_command_is_the_same_command(service: Service) -> None:
    account_id = await opened(service.driver)

    receipt = await executed(service.driver, Deposit(account_id=account_id, amount=5))

    assert (account_id, 2) == (receipt.aggregate_id, receipt.version)
    assert 5 == (await account(service.driver, account_id)).balance


@pytest.mark.parametrize("stage", [Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED])
async def test_a_call_is_answered_at_the_stage_it_waits_for(service: Service, stage: Stage) -> None:
    receipt = await service.driver.dispatch(sent(OpenAccount(owner="ada"), wait=stage))

    assert stage == receipt.stage
    assert "" != receipt.aggregate_id
    assert (stage is Stage.ACCEPTED) == (receipt.token == "")
    assert Stage.EXECUTED == (await service.driver.wait(receipt.request_id, Stage.EXECUTED)).stage


async def test_the_receipt_of_a_rule_that_refuses(service: Service) -> None:
    account_id = await opened(service.driver)

    receipt = await service.driver.typed(Withdraw(account_id=account_id, amount=5))

    assert (Stage.REJECTED, "INSUFFICIENT_FUNDS") == (receipt.stage, receipt.reason)
    assert {"balance": "0"} == receipt.metadata
    assert 1 == (await service.driver.aggregate(account_id)).version


async def test_a_made_id_is_the_same_for_the_same_request_and_another_in_another_tenant(service: Service) -> None:
    request_id = new_id()

    first = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=request_id))
    again = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=request_id))
    other = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=request_id, tenant="other"))

    assert first == again
    assert first.aggregate_id != other.aggregate_id
    assert Stage.EXECUTED == other.stage


async def test_a_made_id_has_the_time_of_a_request_id_that_has_one(service: Service) -> None:
    timed, random = "0195a1c0-8e21-7abc-9def-0123456789ab", "6d1f2e3a-8e21-4abc-9def-0123456789ab"

    of_time = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=timed))
    other = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=timed, tenant="other"))
    of_chance = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada"), request_id=random))

    assert "0195a1c0-8e21-7" == of_time.aggregate_id[:15] == other.aggregate_id[:15]
    assert of_time.aggregate_id[15:] != other.aggregate_id[15:]
    assert 5 == UUID(of_chance.aggregate_id).version


async def test_ids_that_nobody_gives_are_in_the_order_of_time(service: Service) -> None:
    first = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada")))
    await asyncio.sleep(0.002)
    second = await service.driver.dispatch(Sent(command=OpenAccount(owner="ada")))

    assert first.request_id < second.request_id
    assert first.aggregate_id < second.aggregate_id


async def test_an_empty_id_is_refused_where_nothing_is_created(service: Service) -> None:
    with pytest.raises(Refused) as refused:
        await service.driver.dispatch(sent(Deposit(amount=5)))

    assert ("INVALID_MESSAGE", ["account_id"]) == (refused.value.reason, refused.value.fields)


@pytest.mark.parametrize("account_id", ["x", "0" * 36, "not-a-uuid-of-36-characters-in-length"])
async def test_an_id_that_is_no_uuid_is_refused(service: Service, account_id: str) -> None:
    with pytest.raises(Refused) as refused:
        await service.driver.dispatch(sent(Deposit(account_id=account_id, amount=5)))

    assert "INVALID_MESSAGE" == refused.value.reason


async def test_rules_of_the_message_are_checked_before_anything_is_stored(service: Service) -> None:
    command = sent(OpenAccount())

    with pytest.raises(Refused) as refused:
        await service.driver.dispatch(command)

    assert ("INVALID_MESSAGE", ["owner"]) == (refused.value.reason, refused.value.fields)
    with pytest.raises(Refused, match="COMMAND_NOT_FOUND"):
        await service.driver.get(command.request_id)


async def test_bytes_that_are_not_the_message_are_refused(service: Service) -> None:
    with pytest.raises(Refused, match="INVALID_MESSAGE"):
        await service.driver.dispatch(sent(OpenAccount(), payload=b"\xff\xff"))


async def test_a_type_that_is_no_command_is_refused(service: Service) -> None:
    with pytest.raises(Refused, match="UNKNOWN_TYPE"):
        await service.driver.dispatch(sent(GetAccount()))


@pytest.mark.parametrize("wait", [Stage.EXECUTED, Stage.PROJECTED])
async def test_the_end_of_a_wait_answers_the_stage_reached_and_the_command_goes_on(
    service: Service, wait: Stage
) -> None:
    """The handler is at work when the wait ends: the command is stored, since a receipt says at least accepted."""
    account_id = await opened(service.driver)
    gate = service.controls.gate("slow")
    command = sent(DepositAtGate(account_id=account_id, gate="slow", amount=7), wait=wait, wait_timeout=0.05)

    receipt = await service.driver.dispatch(command)

    assert (Stage.ACCEPTED, account_id) == (receipt.stage, receipt.aggregate_id)
    await gate.reached()
    gate.open()
    assert Stage.EXECUTED == (await service.driver.wait(command.request_id, Stage.EXECUTED)).stage
    assert 7 == (await account(service.driver, account_id)).balance
    assert 1 == gate.arrivals


async def test_a_cancelled_call_does_not_cancel_the_command(service: Service) -> None:
    account_id = await opened(service.driver)
    gate = service.controls.gate("slow")
    command = sent(DepositAtGate(account_id=account_id, gate="slow", amount=7))
    call = asyncio.ensure_future(service.driver.dispatch(command))
    await gate.reached()

    call.cancel()
    await asyncio.wait([call])
    gate.open()

    assert Stage.EXECUTED == (await service.driver.wait(command.request_id, Stage.EXECUTED)).stage
    assert 7 == (await account(service.driver, account_id)).balance


async def test_a_wait_for_projected_that_ends_early_tells_that_the_command_is_executed(service: Service) -> None:
    account_id = await opened(service.driver)
    service.controls.faults.add("totals")

    receipt = await service.driver.dispatch(
        sent(Deposit(account_id=account_id, amount=1), wait=Stage.PROJECTED, wait_timeout=0.1)
    )

    assert (Stage.EXECUTED, 2) == (receipt.stage, receipt.version)
    assert "" != receipt.token


async def test_a_repeated_command_is_projected_only_when_it_is(service: Service) -> None:
    account_id = await opened(service.driver)
    service.controls.faults.add("totals")
    command = sent(Deposit(account_id=account_id, amount=1))
    await service.driver.dispatch(command)

    again = await service.driver.dispatch(
        Sent(command=command.command, request_id=command.request_id, wait=Stage.PROJECTED, wait_timeout=0.1)
    )
    assert Stage.EXECUTED == again.stage

    service.controls.faults.clear()
    at_last = await service.driver.dispatch(
        Sent(command=command.command, request_id=command.request_id, wait=Stage.PROJECTED)
    )
    assert Stage.PROJECTED == at_last.stage


async def test_two_kinds_of_one_domain_share_ids_and_never_states(service: Service) -> None:
    vault = await service.driver.typed(OpenVault())

    deposit = await service.driver.dispatch(sent(Deposit(account_id=vault.aggregate_id, amount=1)))
    create = await service.driver.dispatch(sent(OpenAccount(account_id=vault.aggregate_id, owner="ada")))

    assert (Stage.REJECTED, "AGGREGATE_NOT_FOUND") == (deposit.stage, deposit.reason)
    assert (Stage.REJECTED, "AGGREGATE_EXISTS") == (create.stage, create.reason)
    with pytest.raises(Refused, match="AGGREGATE_NOT_FOUND"):
        await account(service.driver, vault.aggregate_id)
    with pytest.raises(Refused, match="AGGREGATE_NOT_FOUND"):
        await service.driver.aggregate(vault.aggregate_id)
