"""Live queries: a state, then its changes, without a gap; and what never leaves the server."""

import asyncio
import random
from contextlib import aclosing

import pytest

from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.contract.facade.conftest import Service
from tests.contract.facade.driver import Refused
from tests.domains.bank.v1.bank_pb2 import (
    Account,
    AccountPage,
    Answer,
    Ask,
    CloseAccount,
    Deposit,
    GetAccount,
    ListAccounts,
    Misbehave,
    Total,
    WatchAccount,
    WatchTotal,
)


async def test_a_watch_tells_every_state_and_ends_when_the_aggregate_closes(service: Service) -> None:
    account_id = await opened(service.driver, balance=1)
    seen: list[int] = []
    async with aclosing(service.driver.watch(WatchAccount(account_id=account_id), Account)) as states:  # type: ignore[type-var]
        async for state in states:
            seen.append(state.balance)
            if state.closed:
                continue
            if state.balance < 4:
                await executed(service.driver, Deposit(account_id=account_id, amount=1))
            else:
                await executed(service.driver, CloseAccount(account_id=account_id))

    assert [1, 2, 3, 4, 4] == seen


async def test_watches_that_begin_at_any_moment_miss_nothing(service: Service) -> None:
    """Each watch begins while deposits go on; whatever it begins with, every later balance follows."""
    driver = service.driver
    account_id = await opened(driver)
    last = 60
    chance = random.Random(7)

    async def write() -> None:
        for seq in range(1, last + 1):
            await driver.dispatch(sent(Deposit(account_id=account_id, amount=1, seq=seq)))
            await asyncio.sleep(0)
        await driver.dispatch(sent(CloseAccount(account_id=account_id)))

    async def watch(after_turns: int) -> None:
        for _ in range(after_turns):
            await asyncio.sleep(0)
        try:
            balances = [
                (state.balance, state.closed)
                async for state in driver.watch(WatchAccount(account_id=account_id), Account)
            ]
        except Refused as refused:
            if refused.reason != "AGGREGATE_NOT_FOUND":
                raise
            return  # it was closed already
        first = balances[0][0]
        assert [*((balance, False) for balance in range(first, last + 1)), (last, True)] == balances

    await asyncio.gather(write(), *(watch(chance.randrange(600)) for _ in range(60)))


async def test_a_watch_of_nothing_is_refused(service: Service) -> None:
    with pytest.raises(Refused, match="AGGREGATE_NOT_FOUND"):
        await anext(service.driver.watch(WatchAccount(account_id=new_id()), Account))


async def test_a_live_query_on_a_projection_tells_each_row_that_differs(service: Service) -> None:
    """The handler yields the same object again and again; each change of it is told, and nothing is told twice."""
    account_id = await opened(service.driver)
    other_id = await opened(service.driver)
    watching = service.driver.watch(WatchTotal(account_id=account_id), Total)
    assert 0 == (await anext(watching)).balance

    for balance in (1, 2, 3):
        await executed(service.driver, Deposit(account_id=other_id, amount=1))
        await executed(service.driver, Deposit(account_id=account_id, amount=1))
        assert balance == (await anext(watching)).balance
    await watching.aclose()  # type: ignore[attr-defined]


async def test_internal_fields_never_leave(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    await executed(driver, Misbehave(account_id=account_id, how="many", count=2))
    now = await driver.aggregate(account_id)
    then = await driver.aggregate(account_id, version=2)
    listed, _ = await driver.aggregates()
    page, _ = await driver.query(ListAccounts(), AccountPage)
    watched = await anext(driver.watch(WatchAccount(account_id=account_id), Account))

    for state in (now.state, then.state, listed[0].state):
        _nothing_internal(Account.FromString(state.value))
    for found in (watched, page.accounts[0], await account(driver, account_id)):
        _nothing_internal(found)
    generic, _ = await driver.query(GetAccount(account_id=account_id), Account)
    _nothing_internal(generic)
    assert "" == (await driver.ask(Ask(what="hello"), Answer)).secret


async def test_what_is_cleared_for_one_caller_is_still_known_to_the_domain(service: Service) -> None:
    """The answers are copies: what the next command rests on, and stores, is whole."""
    account_id = await opened(service.driver)
    await account(service.driver, account_id)
    await service.driver.aggregate(account_id)
    await executed(service.driver, Deposit(account_id=account_id, amount=1))

    row = await service.facade._store.read_models.get("state:Bank.Account", "default", account_id)

    assert row is not None
    assert "1234" == Account.FromString(row.row).pin


def _nothing_internal(state: Account) -> None:
    assert "" == state.pin
    assert [] == [note.staff for note in state.notes if note.staff]
