"""Instances of different versions serve side by side, while the newer one is rolled out, or taken back."""

import asyncio
from typing import ClassVar

from comby.server import Recorded, Rows, projects
from comby.server.application.admission import PARTITIONS
from comby.server.application.requests import Stage
from comby.server.bootstrap import open_store
from comby.server.domain.identity import Position
from comby.server.ports.checkpoint_store import Consumer
from comby.server.ports.store import Store
from tests.contract.facade.bank_calls import executed, opened, sent
from tests.domains.bank.handlers import Totals
from tests.domains.bank.v1.bank_pb2 import AccountOpened, Deposit, Total
from tests.domains.controls import Controls
from tests.integration.instances.cluster import owned, until_cluster, until_known
from tests.integration.instances.conftest import Join
from tests.waiting import SOON


class Second(Totals):
    """Rows of version 2."""

    version: ClassVar[int] = 2

    @projects(AccountOpened)
    async def opened(self, recorded: Recorded[AccountOpened], rows: Rows[Total]) -> None:
        rows.put(recorded.aggregate_id, Total(account_id=recorded.aggregate_id, owner=recorded.event.owner.upper()))


async def test_a_command_that_its_owner_does_not_know_waits(join: Join) -> None:
    """Seen failing: the owner's refusal was the caller's answer."""
    async with join(read_only=True) as new:
        async with join() as old:
            await until_cluster(new, lambda cluster: PARTITIONS in owned(cluster).values())
            account_id = await opened(old.driver)
            await until_known(new, account_id)
            del old.facade.registry.commands[Deposit.DESCRIPTOR.full_name]  # as in a process of the version before
            waiting = sent(Deposit(account_id=account_id, amount=1), wait_timeout=1.0)
            assert Stage.ACCEPTED == (await new.driver.dispatch(waiting)).stage
        async with join():
            assert Stage.EXECUTED == (await new.driver.wait(waiting.request_id, Stage.EXECUTED)).stage


async def of_live(store: Store, account_id: str) -> tuple[int, str]:
    """Return the version that the live rows are of, and whom one names as an account's owner."""
    [live] = [one for one in await store.checkpoints.consumers() if one.live]
    row = await store.read_models.get(f"projection:totals:{live.generation}", "default", account_id)
    return live.version, "" if row is None else Total.FromString(row.row).owner


async def test_an_older_version_makes_no_rows_of_a_newer_one(join: Join, url: str, controls: Controls) -> None:
    """What a newer version has begun is left to it. Seen failing: the older one finished it, and its rows were taken for those of the newer one."""
    async with open_store(url) as elsewhere:
        async with join() as old:
            account_id = await opened(old.driver)
            await elsewhere.checkpoints.create(  # by an instance of the newer version, which was taken back
                Consumer(name="totals", generation=2, version=2, live=False, position=Position(0), since=Position(0))
            )
            for _ in range(3):
                await old.facade._running.duties.reconcile()
                await executed(old.driver, Deposit(account_id=account_id, amount=1))
            [begun] = [one for one in await elsewhere.checkpoints.consumers() if one.generation == 2]
            assert (False, 0) == (begun.live, begun.position)
        async with join(totals=Second(controls)), asyncio.timeout(SOON):
            while await of_live(elsewhere, account_id) != (2, "ADA"):
                await asyncio.sleep(0.02)
