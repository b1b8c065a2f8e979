"""Middleware around commands, queries and events; events of earlier releases; what a handler is told of its request."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from comby.server import Aggregate, Execution, Facade, Recorded, Rejected, RequestContext, applies, handles, upcasts
from comby.server.application.requests import Stage
from comby.server.domain.identity import Position
from comby.server.ports.event_store import EventFilter
from tests.contract.facade.bank_calls import executed, opened, sent
from tests.contract.facade.conftest import DURABLE, Serve
from tests.contract.facade.driver import Refused, Wanted
from tests.domains.bank.app import bank
from tests.domains.bank.v1.bank_pb2 import Answer, Ask, Deposit, ListTotals, OpenAccount, TotalPage
from tests.domains.controls import Controls
from tests.domains.later.v1 import later_pb2


class Tracing:
    """Stands around everything, and says so."""

    def __init__(self, name: str, controls: Controls) -> None:
        self._name = name
        self._controls = controls

    async def on_command(self, command: Message, execution: Execution, proceed: Callable[[], Awaitable[None]]) -> None:
        await self._controls.note(f"{self._name} before {command.DESCRIPTOR.name}")
        if isinstance(command, Deposit) and command.amount == 13:
            raise Rejected("UNLUCKY", by=self._name)
        await proceed()
        await self._controls.note(f"{self._name} after {command.DESCRIPTOR.name}")

    async def on_query(
        self, query: Message, request: RequestContext, proceed: Callable[[], Awaitable[Message]]
    ) -> Message:
        await self._controls.note(f"{self._name} before {query.DESCRIPTOR.name}")
        if isinstance(query, Ask) and query.what == "forbidden":
            raise Rejected("FORBIDDEN")
        answer = await proceed()
        await self._controls.note(f"{self._name} after {query.DESCRIPTOR.name}")
        return answer

    async def on_event(self, recorded: Recorded[Any], consumer: str, proceed: Callable[[], Awaitable[None]]) -> None:
        await self._controls.note(f"{self._name} before {recorded.type} for {consumer}")
        self._controls.meet("middleware")
        await proceed()
        await self._controls.note(f"{self._name} after {recorded.type} for {consumer}")


def traced(controls: Controls) -> Callable[[Facade], None]:
    def app(facade: Facade) -> None:
        bank(controls)(facade)
        facade.use(Tracing("outer", controls), Tracing("inner", controls))

    return app


def nested(what: str) -> list[str]:
    """Return the lines of a call that went through both."""
    return [f"outer before {what}", f"inner before {what}", f"inner after {what}", f"outer after {what}"]


async def test_the_first_one_is_the_outermost(serve: Serve, controls: Controls) -> None:
    async with serve(app=traced(controls)) as service:
        receipt = await service.driver.dispatch(sent(OpenAccount(owner="ada"), wait=Stage.PROJECTED))
        await controls.noted("outer after Bank.AccountOpened for totals")
        assert nested("OpenAccount") + nested("Bank.AccountOpened for totals") == controls.trace
        controls.trace.clear()

        assert "default: hello" == (await service.driver.ask(Ask(what="hello"), Answer)).text
        around = nested("Ask")
        assert [*around[:2], "handler ask", *around[2:]] == controls.trace
        assert "" != receipt.aggregate_id


async def test_middleware_refuses_as_the_domain_does(serve: Serve, controls: Controls) -> None:
    async with serve(app=traced(controls)) as service:
        account_id = await opened(service.driver)

        receipt = await service.driver.dispatch(sent(Deposit(account_id=account_id, amount=13)))
        assert (Stage.REJECTED, "UNLUCKY", {"by": "outer"}) == (receipt.stage, receipt.reason, receipt.metadata)
        for what, reason in (("forbidden", "FORBIDDEN"), ("reject", "NOT_TOLD")):
            with pytest.raises(Refused) as refused:
                await service.driver.ask(Ask(what=what), Answer)
            assert (reason, "Bank") == (refused.value.reason, refused.value.domain)


async def test_middleware_of_events_that_fails_has_the_event_handled_again(serve: Serve, controls: Controls) -> None:
    async with serve(app=traced(controls)) as service:
        controls.faults.add("middleware")
        receipt = await executed(service.driver, OpenAccount(owner="ada"))
        await controls.noted("outer before Bank.AccountOpened for totals", 2)
        controls.faults.clear()

        page = await service.driver.ask(ListTotals(), TotalPage, token=receipt.token)

    assert [receipt.aggregate_id] == [row.account_id for row in page.totals]


class LaterAccount(Aggregate[later_pb2.Account]):
    """The account of a later release: it counts hundredths, and Deposited is called PaidIn."""

    @handles(later_pb2.PayIn)
    def pay_in(self, command: later_pb2.PayIn) -> None:
        self.record(later_pb2.PaidIn(cents=command.cents, origin="till"))

    @applies(later_pb2.AccountOpened)
    def opened(self, event: later_pb2.AccountOpened) -> None:
        self.state.owner = event.owner

    @applies(later_pb2.PaidIn)
    def paid_in(self, event: later_pb2.PaidIn) -> None:
        assert event.origin, "only the newest revision is applied"
        self.state.cents += event.cents


@upcasts(later_pb2.PaidIn, revision=1)
def in_hundredths(event: later_pb2.PaidIn) -> later_pb2.PaidIn:
    return later_pb2.PaidIn(cents=100 * event.units)


@upcasts(later_pb2.PaidIn, revision=2)
def from_somewhere(event: later_pb2.PaidIn) -> later_pb2.PaidIn:
    return later_pb2.PaidIn(cents=event.cents, origin="unknown")


def later(facade: Facade) -> None:
    facade.register(LaterAccount, in_hundredths, from_somewhere)


@pytest.mark.parametrize("store", DURABLE, indirect=True)
async def test_events_under_an_old_name_and_of_old_revisions(serve: Serve) -> None:
    async with serve() as service:
        account_id = await opened(service.driver)
        for amount in (3, 4):
            await executed(service.driver, Deposit(account_id=account_id, amount=amount))

    async with serve(app=later) as again:
        receipt = await again.driver.dispatch(sent(later_pb2.PayIn(account_id=account_id, cents=5)))
        assert (Stage.EXECUTED, 4) == (receipt.stage, receipt.version)
        state = later_pb2.Account.FromString((await again.driver.aggregate(account_id)).state.value)
        then = later_pb2.Account.FromString((await again.driver.aggregate(account_id, version=2)).state.value)
        for name in ("Bank.PaidIn", "Bank.Deposited"):
            events = await again.driver.read(Wanted(types=[name]))
            assert [("Bank.Deposited", 1), ("Bank.Deposited", 1), ("Bank.PaidIn", 3)] == [
                (event.type, event.revision) for event in events
            ]

    assert ("ada", 705, 300) == (state.owner, state.cents, then.cents)


async def test_a_request_is_told_in_everything_that_it_causes(serve: Serve) -> None:
    async with serve() as service:
        receipt = await executed(service.driver, OpenAccount(owner="ada"))

        (event,) = await service.driver.read(Wanted())
        page = await service.facade._store.events.read(after=Position(0), filter=EventFilter(), limit=1, max_bytes=1)

    assert (receipt.request_id, receipt.request_id) == (event.context.correlation_id, event.context.causation_id)
    assert "default" == event.context.tenant_id
    assert page.events[0].key.aggregate_id == event.aggregate_id == receipt.aggregate_id
