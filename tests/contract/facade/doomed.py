"""A process that is killed at work: `python -m tests.contract.facade.doomed STORE [deposits | stuck | again | exit]`."""

import asyncio
import sys

from comby.server import Facade
from comby.server.application.limits import Limits
from comby.server.application.requests import Stage
from comby.server.bootstrap import open_store
from tests.contract.facade.bank_calls import executed, opened, sent
from tests.contract.facade.in_process import InProcess
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import Deposit, DepositAtGate, Misbehave
from tests.domains.controls import Controls


def say(*words: str) -> None:
    """Tell the test."""
    print(*words, flush=True)


async def work(facade: Facade, controls: Controls, what: str) -> None:
    """Do what is told, and never return."""
    driver = InProcess(facade)
    account_id = await opened(driver)
    say("account", account_id)
    match what:
        case "deposits":
            for _ in range(20):
                receipt = await executed(driver, Deposit(account_id=account_id, amount=1))
                say("executed", receipt.request_id)
        case "stuck":
            command = DepositAtGate(account_id=account_id, gate="stuck", amount=1)
            await driver.dispatch(sent(command, wait=Stage.ACCEPTED))
            await controls.gate("stuck").reached()
        case "again":
            await controls.gate("stuck").reached()
        case "exit":
            await driver.dispatch(sent(Misbehave(account_id=account_id, how="exit"), wait=Stage.ACCEPTED))
            await asyncio.Event().wait()
    say("done")
    await asyncio.Event().wait()


async def main() -> None:
    """Run the bank on a store."""
    controls = Controls()
    async with open_store(sys.argv[1]) as store:
        facade = Facade("bank", store, Limits(longest_wait=60.0))
        bank(controls)(facade)
        async with facade:
            if sys.argv[2:]:
                await work(facade, controls, sys.argv[2])
            (found, *_), _ = await InProcess(facade).list(type="Bank.Misbehave")
            told = await InProcess(facade).wait(found.receipt.request_id, Stage.EXECUTED)
            say(told.stage.value)
            say("done")
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
