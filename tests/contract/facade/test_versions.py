"""Expected versions, and commands on aggregates that are not, or not any more, or not of that kind."""

import asyncio

import pytest

from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import Serve, Service
from tests.contract.facade.driver import Refused, Told
from tests.domains.bank.v1.bank_pb2 import (
    CloseAccount,
    Deposit,
    GetAccount,
    LockVault,
    OpenAccount,
    OpenVault,
    Withdraw,
)


def conflict(receipt: Told) -> tuple[Stage, str, str, str]:
    return receipt.stage, receipt.reason, receipt.metadata.get("expected", ""), receipt.metadata.get("actual", "")


async def test_the_right_version_the_wrong_one_and_none(service: Service) -> None:
    driver = service.driver
    account_id = new_id()
    create = OpenAccount(account_id=account_id, owner="ada")
    deposit = Deposit(account_id=account_id, amount=1)

    early = await driver.dispatch(sent(create, expected_version=1))
    first = await driver.dispatch(sent(create, expected_version=0))
    stale = await driver.dispatch(sent(deposit, expected_version=0))
    right = await driver.dispatch(sent(deposit, expected_version=1))
    again = await driver.dispatch(sent(deposit, expected_version=1))

    assert (Stage.REJECTED, "VERSION_CONFLICT", "1", "0") == conflict(early)
    assert (Stage.EXECUTED, 1) == (first.stage, first.version)
    assert (Stage.REJECTED, "VERSION_CONFLICT", "0", "1") == conflict(stale)
    assert (Stage.EXECUTED, 2) == (right.stage, right.version)
    assert (Stage.REJECTED, "VERSION_CONFLICT", "1", "2") == conflict(again)
    assert 1 == (await account(driver, account_id)).balance


async def test_of_many_with_the_same_expected_version_one_wins(service: Service) -> None:
    account_id = await opened(service.driver)

    receipts = await asyncio.gather(
        *(
            service.driver.dispatch(sent(Deposit(account_id=account_id, amount=1), expected_version=1))
            for _ in range(20)
        )
    )

    assert 1 == sum(receipt.stage is Stage.EXECUTED for receipt in receipts)
    assert {("VERSION_CONFLICT", "1", "2")} == {conflict(one)[1:] for one in receipts if one.stage is Stage.REJECTED}
    assert 1 == (await account(service.driver, account_id)).balance


async def test_an_aggregate_is_created_once(service: Service) -> None:
    account_id = await opened(service.driver)

    receipt = await service.driver.dispatch(sent(OpenAccount(account_id=account_id, owner="bob")))

    assert (Stage.REJECTED, "AGGREGATE_EXISTS") == (receipt.stage, receipt.reason)
    assert "ada" == (await account(service.driver, account_id)).owner


async def test_what_is_not_there_and_what_has_ended(service: Service) -> None:
    driver = service.driver
    closed_id = await opened(driver)
    await executed(driver, CloseAccount(account_id=closed_id))
    foreign_id = await opened(driver, tenant="other")

    for account_id in (new_id(), closed_id, foreign_id):
        receipt = await driver.dispatch(sent(Deposit(account_id=account_id, amount=1)))
        assert (Stage.REJECTED, "AGGREGATE_NOT_FOUND") == (receipt.stage, receipt.reason)
        assert {"aggregate": "Bank.Account", "aggregate_id": account_id} == receipt.metadata
        with pytest.raises(Refused) as refused:
            await account(driver, account_id)
        assert ("AGGREGATE_NOT_FOUND", receipt.metadata) == (refused.value.reason, refused.value.metadata)
    reopened = await driver.dispatch(sent(OpenAccount(account_id=closed_id, owner="bob")))
    assert (Stage.REJECTED, "AGGREGATE_EXISTS") == (reopened.stage, reopened.reason)


async def test_two_tenants_use_the_same_id(service: Service) -> None:
    account_id = await opened(service.driver)

    await service.driver.dispatch(sent(OpenAccount(account_id=account_id, owner="bob"), tenant="other"))

    assert "ada" == (await account(service.driver, account_id)).owner
    assert "bob" == (await account(service.driver, account_id, tenant="other")).owner


async def test_another_kind_under_the_id_is_not_found_however_old_it_is(serve: Serve) -> None:
    """Also where what it is has to be read from its events."""
    async with serve(limits=Limits(cached_aggregates=1)) as service:
        driver = service.driver
        vault_id = (await executed(driver, OpenVault())).aggregate_id
        await executed(driver, LockVault(vault_id=vault_id))

        for command in (Deposit(account_id=vault_id, amount=1), Withdraw(account_id=vault_id, amount=1)):
            await opened(driver)
            receipt = await driver.dispatch(sent(command))
            assert (Stage.REJECTED, "AGGREGATE_NOT_FOUND") == (receipt.stage, receipt.reason)
        receipt = await driver.dispatch(sent(Deposit(account_id=vault_id, amount=1), expected_version=2))
        assert "AGGREGATE_NOT_FOUND" == receipt.reason
        with pytest.raises(Refused, match="AGGREGATE_NOT_FOUND"):
            await driver.aggregate(vault_id, version=1)
        await executed(driver, LockVault(vault_id=vault_id))


async def test_upper_case_names_the_same_aggregate(service: Service) -> None:
    driver = service.driver
    account_id = new_id()
    created = await driver.dispatch(sent(OpenAccount(account_id=account_id.upper(), owner="ada")))
    receipt = await driver.dispatch(sent(Deposit(account_id=account_id.upper(), amount=1)))

    assert [account_id, account_id] == [created.aggregate_id, receipt.aggregate_id]
    assert 1 == (await driver.aggregate(account_id.upper())).version - 1
    assert account_id == (await account(driver, account_id.upper())).account_id
    assert 1 == (await driver.ask(GetAccount(account_id=account_id), type(await account(driver, account_id)))).balance
