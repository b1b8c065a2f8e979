"""Handlers of events and queries that hold the event loop are interrupted, as those of commands are."""

import asyncio
from typing import ClassVar

from comby.server import Facade, Projection, ReactionContext, Reactor, Recorded, Rows, projects, reacts
from comby.server.application.limits import Limits
from tests.contract.facade.bank_calls import executed, opened
from tests.contract.facade.conftest import Serve
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import Deposit, Deposited, Total
from tests.domains.controls import Controls

QUICK = Limits(handler_interrupt=0.2, handler_abort=60.0)


class LoopingReactor(Reactor):
    """Never gives the event loop back at its first attempt."""

    name = "looping_reactor"
    attempts: ClassVar[asyncio.Queue[int]]

    @reacts(Deposited)
    async def deposited(self, recorded: Recorded[Deposited], context: ReactionContext) -> None:
        while context.attempt == 1:
            pass
        self.attempts.put_nowait(context.attempt)


class LoopingProjection(Projection[Total]):
    """Never gives the event loop back the first time."""

    name = "looping_projection"
    calls: ClassVar[asyncio.Queue[int]]
    looped: ClassVar[bool]

    @projects(Deposited)
    async def deposited(self, recorded: Recorded[Deposited], rows: Rows[Total]) -> None:
        first = not self.looped
        LoopingProjection.looped = True
        self.calls.put_nowait(recorded.position)
        while first:
            pass


async def test_a_reactor_that_loops_is_tried_again(serve: Serve, controls: Controls) -> None:
    LoopingReactor.attempts = asyncio.Queue()

    def app(facade: Facade) -> None:
        bank(controls)(facade)
        facade.register(LoopingReactor)

    async with serve(app=app, limits=QUICK) as service:
        account_id = await opened(service.driver)
        await executed(service.driver, Deposit(account_id=account_id, amount=1))
        assert 2 == await LoopingReactor.attempts.get()


async def test_a_projection_that_loops_is_tried_again(serve: Serve, controls: Controls) -> None:
    LoopingProjection.calls = asyncio.Queue()
    LoopingProjection.looped = False

    def app(facade: Facade) -> None:
        bank(controls)(facade)
        facade.register(LoopingProjection)

    async with serve(app=app, limits=QUICK) as service:
        account_id = await opened(service.driver)
        await executed(service.driver, Deposit(account_id=account_id, amount=1))
        first = await LoopingProjection.calls.get()
        assert first == await LoopingProjection.calls.get()
