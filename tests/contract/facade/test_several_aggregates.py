"""Handlers of several aggregates: all or nothing, and everything that was loaded still stands."""

import asyncio

import pytest

from comby.server.application.requests import Stage
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import Service
from tests.contract.facade.driver import Wanted
from tests.domains.bank.v1.bank_pb2 import Account, CloseAccount, Deposit, SplitAccount, Transfer


async def test_both_accounts_or_none(service: Service) -> None:
    driver = service.driver
    payer, payee = await opened(driver, balance=10), await opened(driver)

    done = await driver.dispatch(sent(Transfer(from_id=payer, to_id=payee, amount=4)))
    refused = await driver.dispatch(sent(Transfer(from_id=payer, to_id=payee, amount=100)))
    nobody = await driver.dispatch(sent(Transfer(from_id=payer, to_id=new_id(), amount=1)))

    assert (Stage.EXECUTED, 3, 2) == (done.stage, done.version, len(done.event_ids))
    assert ["INSUFFICIENT_FUNDS", "NO_PAYEE"] == [refused.reason, nobody.reason]
    assert [6, 4] == [(await account(driver, one)).balance for one in (payer, payee)]
    events = await driver.read(Wanted(domains=["Bank"]))
    pair = [event for event in events if event.event_id in done.event_ids]
    assert 1 == pair[1].position - pair[0].position
    assert {done.request_id} == {event.request_id for event in pair}


async def test_money_is_neither_made_nor_lost_by_transfers_in_all_directions(service: Service) -> None:
    driver = service.driver
    ids = [await opened(driver, balance=100) for _ in range(4)]
    transfers = [sent(Transfer(from_id=ids[n % 4], to_id=ids[(n + 1 + n // 4 % 3) % 4], amount=1)) for n in range(120)]

    receipts = await asyncio.gather(*(driver.dispatch(one) for one in transfers))

    assert {Stage.EXECUTED} == {receipt.stage for receipt in receipts}
    assert 400 == sum([(await account(driver, one)).balance for one in ids])


@pytest.mark.parametrize("role", ["payee", "witness"])
async def test_what_was_loaded_and_has_changed_makes_the_handler_run_again(service: Service, role: str) -> None:
    """Also what is not written: a decision rests on everything that was looked at."""
    driver = service.driver
    payer, payee, witness = [await opened(driver, balance=10) for _ in range(3)]
    gate = service.controls.gate("loaded")
    command = sent(Transfer(from_id=payer, to_id=payee, amount=1, witness_id=witness, gate="loaded"))
    call = asyncio.ensure_future(driver.dispatch(command))
    await gate.reached()
    await executed(driver, Deposit(account_id=payee if role == "payee" else witness, amount=1))

    gate.open()

    assert Stage.EXECUTED == (await call).stage
    assert 2 == gate.arrivals
    assert 0 == (await driver.get(command.request_id)).attempts


async def test_a_decision_rests_on_the_payee_as_it_is_at_the_commit(service: Service) -> None:
    driver = service.driver
    payer, payee = await opened(driver, balance=10), await opened(driver)
    gate = service.controls.gate("loaded")
    call = asyncio.ensure_future(driver.dispatch(sent(Transfer(from_id=payer, to_id=payee, amount=1, gate="loaded"))))
    await gate.reached()
    await executed(driver, CloseAccount(account_id=payee))

    gate.open()

    assert (Stage.REJECTED, "NO_PAYEE") == ((await call).stage, (await call).reason)
    assert 10 == (await account(driver, payer)).balance


async def test_an_expected_version_is_the_targets(service: Service) -> None:
    driver = service.driver
    payer, payee = await opened(driver, balance=10), await opened(driver)
    command = Transfer(from_id=payer, to_id=payee, amount=1)

    stale = await driver.dispatch(sent(command, expected_version=1))
    right = await driver.dispatch(sent(command, expected_version=2))

    assert [("VERSION_CONFLICT", "2"), ("", "")] == [
        (one.reason, one.metadata.get("actual", "")) for one in (stale, right)
    ]


async def test_a_new_aggregate_inside_a_handler(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver, balance=10)
    command = sent(SplitAccount(account_id=account_id, amount=4))

    receipt = await driver.dispatch(command)

    assert (Stage.EXECUTED, 3) == (receipt.stage, len(receipt.event_ids))
    listed, _ = await driver.aggregates()
    balances = {one.aggregate_id: Account.FromString(one.state.value).balance for one in listed}
    assert [4, 6] == sorted(balances.values())
    assert receipt == await driver.dispatch(command)
    again = await driver.dispatch(sent(SplitAccount(account_id=account_id, amount=1)))
    assert Stage.EXECUTED == again.stage
    assert 3 == len((await driver.aggregates())[0])
