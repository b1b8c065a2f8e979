"""Aggregates as they are, were at a version, and were at a time; snapshots; lists."""

from typing import ClassVar

import pytest

from comby.server import Facade, StateQueries, applies
from comby.server.application.limits import Limits
from comby.server.ports.read_model_store import StoredRow
from tests.contract.facade.bank_calls import account, executed, new_id, opened
from tests.contract.facade.conftest import DURABLE, Serve, Service
from tests.contract.facade.driver import Driver, Refused, Wanted
from tests.domains.bank.aggregates import AccountAggregate, VaultAggregate
from tests.domains.bank.handlers import Asking, Moves, TotalQueries, Totals
from tests.domains.bank.v1.bank_pb2 import (
    TIER_GOLD,
    TIER_PLAIN,
    Account,
    AccountPage,
    CloseAccount,
    Deposit,
    Deposited,
    GetAccount,
    ListAccounts,
    OpenAccount,
    WatchAccount,
)
from tests.domains.controls import Controls


async def balance_at(driver: Driver, account_id: str, version: int) -> int:
    found = await driver.aggregate(account_id, version=version)
    assert (account_id, version) == (found.aggregate_id, found.version)
    return Account.FromString(found.state.value).balance


async def test_every_version_and_every_moment(serve: Serve) -> None:
    """With snapshots in between, and after the end."""
    async with serve(limits=Limits(snapshot_every=4)) as service:
        driver = service.driver
        account_id = await opened(driver)
        for _ in range(10):
            await opened(driver)
            await executed(driver, Deposit(account_id=account_id, amount=1))
        await executed(driver, CloseAccount(account_id=account_id))

        assert list(range(11)) == [await balance_at(driver, account_id, version) for version in range(1, 12)]
        assert Account.FromString((await driver.aggregate(account_id, version=12)).state.value).closed
        events = await driver.read(Wanted(domains=["Bank"], aggregate_id=account_id))
        for event in events:
            found = await driver.aggregate(account_id, time=event.recorded_at.ToMicroseconds())
            assert found.version >= event.version
            last = max(
                one.version for one in events if one.recorded_at.ToMicroseconds() <= event.recorded_at.ToMicroseconds()
            )
            assert last == found.version
        assert 12 == (await driver.aggregate(account_id, time=2**52)).version


async def test_what_was_not_and_what_is_not_yet(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    recorded_at = (await driver.read(Wanted()))[0].recorded_at.ToMicroseconds()

    for not_found in (
        driver.aggregate(new_id()),
        driver.aggregate(new_id(), version=1),
        driver.aggregate(account_id, time=recorded_at - 1),
        driver.aggregate(account_id, tenant="other"),
        driver.aggregate(account_id, tenant="other", version=1),
    ):
        with pytest.raises(Refused, match="AGGREGATE_NOT_FOUND"):
            await not_found
    with pytest.raises(Refused) as beyond:
        await driver.aggregate(account_id, version=2)
    assert ("POSITION_BEYOND_HEAD", "1") == (beyond.value.reason, beyond.value.metadata["head"])
    with pytest.raises(Refused, match="UNKNOWN_TYPE"):
        await driver.aggregate(account_id, aggregate="Bank.Nothing")


async def test_a_list_by_indexed_fields(service: Service) -> None:
    driver = service.driver
    big = 2**64 - 1
    for number, (balance, limit) in enumerate(((-7, 0), (3, big), (0, 1), (-(2**62), 2**63), (2**62, 5))):
        tier = TIER_GOLD if number % 2 else TIER_PLAIN
        created = await executed(driver, OpenAccount(owner=f"o{number}", tier=tier, limit=limit))
        await executed(driver, Deposit(account_id=created.aggregate_id, amount=balance))
    await opened(driver, tenant="other")

    async def owners(**selection: object) -> list[str]:
        found, _ = await driver.aggregates(**selection)  # type: ignore[arg-type]
        return [Account.FromString(one.state.value).owner for one in found]

    assert ["o3", "o0", "o2", "o1", "o4"] == await owners(order_by="balance")
    assert ["o1", "o3", "o4", "o2", "o0"] == await owners(order_by="limit", descending=True)
    assert ["o1", "o3"] == sorted(await owners(filter={"tier": "TIER_GOLD"}))
    assert ["o1", "o3"] == sorted(await owners(filter={"tier": "2"}))
    assert ["o1"] == await owners(filter={"limit": str(big), "closed": "false"})
    assert [] == await owners(filter={"closed": "true"})
    page = await driver.ask(ListAccounts(tier=TIER_GOLD, order_by="owner", descending=True), AccountPage)
    assert ["o3", "o1"] == [one.owner for one in page.accounts]
    found, token = await driver.aggregates(order_by="owner", page_size=3)
    rest, end = await driver.aggregates(order_by="owner", page_size=3, page_token=token)
    assert (3, 2, "") == (len(found), len(rest), end)
    for other in (
        {"order_by": "balance"},
        {"order_by": "owner", "descending": True},
        {"order_by": "owner", "tenant": "other"},
    ):
        with pytest.raises(Refused, match="INVALID_TOKEN"):
            await driver.aggregates(page_token=token, **other)
    with pytest.raises(Refused, match="INVALID_MESSAGE"):
        await driver.aggregates(order_by="account_id")


class Doubling(AccountAggregate):
    """What a later release folds old events to."""

    snapshot_version: ClassVar[int] = 2

    @applies(Deposited)
    def deposited(self, event: Deposited) -> None:
        self.state.balance += 2 * event.amount


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_a_changed_fold_makes_states_snapshots_and_lists_anew(serve: Serve, controls: Controls) -> None:
    def later(facade: Facade) -> None:
        queries = StateQueries(Doubling, get=GetAccount, list=ListAccounts, watch=WatchAccount)
        facade.register(
            Doubling, VaultAggregate, Moves(controls), Totals(controls), TotalQueries, Asking(controls), queries
        )

    limits = Limits(snapshot_every=2)
    async with serve(limits=limits) as service:
        account_id = await opened(service.driver)
        for _ in range(5):
            await executed(service.driver, Deposit(account_id=account_id, amount=1))

    async with serve(app=later, limits=limits) as again:
        driver = again.driver
        (listed,), _ = await driver.aggregates()
        assert 10 == Account.FromString(listed.state.value).balance
        assert 10 == (await account(driver, account_id)).balance
        assert 6 == await balance_at(driver, account_id, 4)
        await executed(driver, Deposit(account_id=account_id, amount=1))
        assert 12 == (await account(driver, account_id)).balance
        row: StoredRow | None = None
        while row is None or row.version < 7:
            row = await again.facade._store.read_models.get("state:Bank.Account", "default", account_id)
        assert 12 == Account.FromString(row.row).balance
        assert [] == await again.facade._store.read_models.stale("state:Bank.Account", stamp=row.stamp, limit=1)
