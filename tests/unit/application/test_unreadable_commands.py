"""Stored commands of types that no longer exist, more of them than may wait in memory."""

from dataclasses import replace

from comby.server import Facade
from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from comby.server.bootstrap import open_store
from comby.server.ports.command_store import NewCommand
from comby.server.ports.event_store import AcceptCommand
from tests.contract.facade.bank_calls import new_id, stored
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import OpenAccount
from tests.domains.controls import Controls
from tests.unit.application.bank_commands import CONTEXT


def opening() -> NewCommand:
    """Return a command as it was stored before."""
    return stored(OpenAccount(owner="ada"), new_id())


async def test_they_take_no_room_from_the_others() -> None:
    """Seen failing: each took a place in memory for good, and nothing that was stored went on once none was left."""
    async with open_store("sqlite://:memory:") as store:
        vanished = [AcceptCommand(command=replace(opening(), type="Bank.Vanished")) for _ in range(5)]
        others = [AcceptCommand(command=opening()) for _ in range(5)]
        await store.events.commit([*vanished, *others])
        facade = Facade("bank", store, Limits(claimed_commands=2))
        bank(Controls())(facade)
        async with facade:
            for other in others:
                receipt = await facade.wait_for_command(CONTEXT, other.command.key.request_id, Stage.EXECUTED, None)
                assert Stage.EXECUTED == receipt.stage
            for one in vanished:
                record = await facade.get_command(CONTEXT, one.command.key.request_id)
                assert Stage.ACCEPTED == record.receipt.stage
