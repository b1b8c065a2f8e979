"""Commands on their way through this process, and those who wait for them."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.message import Message

from comby.server.application.contract import CommandType
from comby.server.application.errors import FacadeError
from comby.server.application.receipts import accepted_receipt
from comby.server.application.requests import Receipt, Stage
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import NewCommand
from comby.server.ports.event_store import Fence, Verdict

_ORDER = {Stage.ACCEPTED: 1, Stage.EXECUTED: 2, Stage.PROJECTED: 3}


def satisfies(reached: Stage, goal: Stage) -> bool:
    """Tell whether a wait for `goal` ends at `reached`; it always ends where a command ends."""
    return _ORDER.get(reached, 9) >= _ORDER[goal]


class Reply(Protocol):
    """What takes the answer to somebody who waits; a future of asyncio is one."""

    def done(self) -> bool:
        """Tell whether the answer is of no use any more."""
        ...

    def set_result(self, result: Receipt, /) -> None:
        """Take the receipt."""
        ...

    def set_exception(self, exception: FacadeError, /) -> None:
        """Take an error in place of it."""
        ...


@dataclass(slots=True, eq=False)
class Waiter:
    """Somebody who waits for a stage. `latest` is what they are told if they wait no longer; `watched` has those who would be told at the
    same moment."""

    goal: Stage
    reply: Reply
    watched: "dict[Waiter, Pending] | None" = None
    latest: Receipt | None = None

    def reached(self, receipt: Receipt) -> bool:
        """Answer, or note how far the command has come; tell whether the wait is over."""
        if satisfies(receipt.stage, self.goal):
            self.answer(receipt)
            return True
        self.latest = receipt
        return False

    def answer(self, receipt: Receipt) -> None:
        """End the wait."""
        if self.watched is not None:
            self.watched.pop(self, None)
        if not self.reply.done():
            self.reply.set_result(receipt)

    def fail(self, error: FacadeError) -> None:
        """End the wait with an error: nothing is known to be stored."""
        if self.watched is not None:
            self.watched.pop(self, None)
        if not self.reply.done():
            self.reply.set_exception(error)


@dataclass(slots=True, eq=False)
class Pending:
    """A command in this process. `durable` once its row is stored, as `accept_seq` in the order of acceptance; `suspect` if it may have
    ended the process before; `claimed` if it came from the store, where another instance may have put it, or was given back to it: it does not stand where it came.

    `forwarded` is the address of the owner whose answer is awaited. `fence` is under which ownership it was queued. `started` while an attempt is counted that has not failed. `accepting` is the verdict on storing it while it runs; `behind` are those that stood behind it in its lane and were left to the store. `counted` while its lane counts it among its stored ones. `settled` is set once it is stored or has left.
    """

    key: CommandKey
    aggregate: AggregateKey
    kind: CommandType
    message: Message
    context: RequestContext
    new: NewCommand
    fence: Fence | None = None
    durable: bool = False
    accept_seq: int = 0
    suspect: bool = False
    claimed: bool = False
    forwarded: str = ""
    attempts: int = 0
    started: bool = False
    waiters: list[Waiter] = field(default_factory=list)
    accepting: asyncio.Future[Verdict] | None = None
    behind: set[CommandKey] | None = None
    counted: bool = False
    settled: asyncio.Event | None = None
    failed: BaseException | None = None

    @property
    def transient(self) -> bool:
        """Tell whether it is neither stored nor being stored while it runs."""
        return not self.durable and self.accepting is None

    def reached(self, receipt: Receipt) -> None:
        """Answer those who wait for this stage or an earlier one."""
        if self.waiters:
            self.waiters = [waiter for waiter in self.waiters if not waiter.reached(receipt)]

    def accepted(self, accept_seq: int) -> None:
        """Note that its row is stored, and where it stands in the order of acceptance; answer those who wait for that."""
        self.accept_seq = accept_seq
        self.stored()
        self.reached(accepted_receipt(self.key.request_id, self.aggregate.aggregate_id))

    def stored(self) -> None:
        """Note that its row is stored."""
        self.durable = True
        self.settle()

    def settle(self) -> None:
        """Let those go on who wait to know what becomes of it."""
        if self.settled is not None:
            self.settled.set()
