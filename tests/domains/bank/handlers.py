"""The bank's async handlers, its projection and its queries; the test holds their gates and faults."""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

from comby.server import (
    CommandContext,
    CommandHandlers,
    Projection,
    QueryContext,
    QueryHandlers,
    Recorded,
    Rejected,
    Rows,
    answers,
    handles,
    projects,
)
from tests.domains.bank.aggregates import SECRET_TEXT, AccountAggregate
from tests.domains.bank.v1.bank_pb2 import (
    AccountClosed,
    AccountOpened,
    Answer,
    Ask,
    DepositAtGate,
    Deposited,
    ListTotals,
    SplitAccount,
    Total,
    TotalPage,
    Transfer,
    WatchTotal,
    Withdrawn,
)
from tests.domains.controls import Controls

RICH = 1_000


class Moves(CommandHandlers):
    """Commands that load several accounts, or wait."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    @handles(Transfer)
    async def transfer(self, command: Transfer, context: CommandContext) -> None:
        payer = await context.load(AccountAggregate, command.from_id)
        payee = await context.load(AccountAggregate, command.to_id)
        if command.witness_id:
            await context.load(AccountAggregate, command.witness_id)
        if command.gate:
            await self._controls.gate(command.gate).arrive()
        if not payee.exists:
            raise Rejected("NO_PAYEE")
        payer.take_out(command.amount)
        payee.pay_in(command.amount)

    @handles(DepositAtGate)
    async def deposit(self, command: DepositAtGate, context: CommandContext) -> None:
        account = await context.load(AccountAggregate, command.account_id)
        if command.gate == "cancelled":
            task = asyncio.ensure_future(asyncio.Event().wait())
            task.cancel()
            await task
        if command.gate:
            await self._controls.gate(command.gate).arrive()
        self._controls.meet("deposit")
        account.pay_in(command.amount, command.seq)

    @handles(SplitAccount)
    async def split(self, command: SplitAccount, context: CommandContext) -> None:
        account = await context.load(AccountAggregate, command.account_id)
        account.take_out(command.amount)
        second = await context.load(AccountAggregate, context.execution.new_id())
        second.record(AccountOpened(owner=account.state.owner))
        second.pay_in(command.amount)


class Totals(Projection[Total]):
    """One row per account."""

    name = "totals"
    version: ClassVar[int] = 1
    indexed = ("owner", "balance", "deposits", "tier", "rich")

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    @projects(AccountOpened)
    async def opened(self, recorded: Recorded[AccountOpened], rows: Rows[Total]) -> None:
        event = recorded.event
        rows.put(recorded.aggregate_id, Total(account_id=recorded.aggregate_id, owner=event.owner, tier=event.tier))

    @projects(Deposited)
    async def deposited(self, recorded: Recorded[Deposited], rows: Rows[Total]) -> None:
        self._controls.meet("totals")
        await self._add(recorded.aggregate_id, rows, recorded.event.amount, deposits=1)

    @projects(Withdrawn)
    async def withdrawn(self, recorded: Recorded[Withdrawn], rows: Rows[Total]) -> None:
        await self._add(recorded.aggregate_id, rows, -recorded.event.amount, deposits=0)

    @projects(AccountClosed)
    async def closed(self, recorded: Recorded[AccountClosed], rows: Rows[Total]) -> None:
        rows.delete(recorded.aggregate_id)

    async def _add(self, account_id: str, rows: Rows[Total], amount: int, *, deposits: int) -> None:
        row = await rows.get(account_id)
        assert row is not None
        row.balance += amount
        row.deposits += deposits
        row.rich = row.balance >= RICH
        rows.put(account_id, row)


class TotalQueries(QueryHandlers):
    """Questions to the projection."""

    reads = (Totals,)

    @answers(ListTotals)
    async def list_totals(self, query: ListTotals, context: QueryContext) -> TotalPage:
        page = await context.rows(Totals).list(
            filter=dict(query.filter),
            order_by=query.order_by or None,
            descending=query.descending,
            page_size=query.page_size,
            page_token=query.page_token,
        )
        return TotalPage(totals=page.rows, next_page_token=page.next_page_token)

    @answers(WatchTotal)
    async def watch_total(self, query: WatchTotal, context: QueryContext) -> AsyncIterator[Total]:
        told = Total()  # one object for all answers: what the facade keeps of it must be its own
        async for _ in context.changes():
            row = await context.rows(Totals).get(query.account_id)
            if row is not None:
                told.CopyFrom(row)
                yield told


class Asking(QueryHandlers):
    """Answers whatever the test wants."""

    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    @answers(Ask)
    async def ask(self, query: Ask, context: QueryContext) -> Answer:
        match query.what:
            case "reject":
                raise Rejected("NOT_TOLD", about="nothing")
            case "raise":
                raise RuntimeError(SECRET_TEXT)
            case _:
                await self._controls.note("handler ask")
                return Answer(text=f"{context.request.tenant_id}: {query.what}", secret="inside")
