"""Ids of aggregates are UUIDs, also of those that a handler loads by itself."""

import pytest

from comby.server import CommandContext, Facade, RequestContext, StateQueries, handles
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Stage
from comby.server.bootstrap import open_store
from tests.domains.bank.aggregates import AccountAggregate, VaultAggregate
from tests.domains.bank.handlers import Asking, Moves, TotalQueries, Totals
from tests.domains.bank.v1.bank_pb2 import (
    AccountOpened,
    GetAccount,
    ListAccounts,
    OpenAccount,
    Transfer,
    WatchAccount,
)
from tests.domains.controls import Controls

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
        facade.register(
            AccountAggregate,
            VaultAggregate,
            CarelessMoves(controls),
            Totals(controls),
            TotalQueries,
            Asking(controls),
            StateQueries(AccountAggregate, get=GetAccount, list=ListAccounts, watch=WatchAccount),
        )
        async with facade:
            payer = (await facade.dispatch_command(_request(OpenAccount(owner="ada")))).aggregate_id
            receipt = await facade.dispatch_command(_request(Transfer(from_id=payer, to_id=to_id)))

            assert (stage, events) == (receipt.stage, await facade.head())


def _request(command: OpenAccount | Transfer) -> CommandRequest:
    return CommandRequest(
        type=command.DESCRIPTOR.full_name,
        payload=command.SerializeToString(),
        context=RequestContext(),
        wait=Stage.EXECUTED,
    )
