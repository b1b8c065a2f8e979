"""Ids of aggregates are UUIDs, also of those that a handler loads by itself."""

import pytest

from comby.server import CommandContext, Facade, handles
from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from comby.server.bootstrap import open_store
from tests.domains.bank.aggregates import AccountAggregate
from tests.domains.bank.app import bank
from tests.domains.bank.handlers import Moves
from tests.domains.bank.v1.bank_pb2 import AccountOpened, OpenAccount, Transfer
from tests.domains.controls import Controls
from tests.unit.application.bank_commands import do

OPENED = "7f3c2c1e-5f0e-4b8e-9a63-0c6f6a1d2e10"


class CarelessMoves(Moves):
    """Opens the account that is paid, whatever its id."""

    @handles(Transfer)
    async def transfer(self, command: Transfer, context: CommandContext) -> None:
        payee = await context.load(AccountAggregate, command.to_id)
        payee.record(AccountOpened(owner="somebody"))


@pytest.mark.parametrize(
    ("to_id", "stage", "events"),
    [
        (OPENED, Stage.EXECUTED, 2),
        (OPENED.upper(), Stage.EXECUTED, 2),
        ("", Stage.PARKED, 1),
        ("k\u00f6nig", Stage.PARKED, 1),
        (OPENED + "0", Stage.PARKED, 1),
        ("x" * 5000, Stage.PARKED, 1),
    ],
)
async def test_nothing_is_recorded_on_what_is_no_uuid(to_id: str, stage: Stage, events: int) -> None:
    controls = Controls()
    async with open_store("sqlite://:memory:") as store:
        facade = Facade("bank", store, Limits(attempts=1))
        bank(controls, moves=CarelessMoves(controls))(facade)
        async with facade:
            payer = (await do(facade, OpenAccount(owner="ada"))).aggregate_id
            receipt = await do(facade, Transfer(from_id=payer, to_id=to_id))

            assert (stage, events) == (receipt.stage, await facade.head())
