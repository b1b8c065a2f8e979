"""The command bus: accepts commands, durably before it says so, hands them to the lanes, and answers those who wait.

Among several instances any of them accepts a command, and its owner executes it: one that is waited for is forwarded, every other one is
left to the store, from where the owner claims it.

Fast path: a command that is waited for, on an aggregate without backlog, is executed without being stored first; its
row, its events and its
outcome are one commit. Whoever waits too long in the queue is stored after all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import structlog

from comby.server.application.admission import Admission
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.errors import (
    FacadeError,
    RequestIdReused,
    ShuttingDown,
    Unavailable,
)
from comby.server.application.executor import Settlement, begun
from comby.server.application.lanes import Lanes
from comby.server.application.limits import Limits
from comby.server.application.open_commands import OpenCommands
from comby.server.application.outcomes import Outcomes
from comby.server.application.ownership import Ownership
from comby.server.application.pending import Pending, Waiter
from comby.server.application.receipts import accepted_receipt, receipt_of
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.application.same_command import same_command
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import CommandKey
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    AcceptCommand,
    CommandAccepted,
    CommandKnown,
    Verdict,
)
from comby.server.ports.peers import PeerUnreachable

_log = structlog.get_logger("comby.commands")
Cover = Callable[[Receipt, frozenset[str] | None], Awaitable[None]]
Forwarding = Callable[[str, CommandRequest], Awaitable[Receipt]]
"""Has a command dispatched by the instance at an address; see Peers.dispatch."""


@dataclass(slots=True)
class Movements:
    """What became of commands while the store was read: a row may be older than that. `put_aside` tells that one was
    left to the store since."""

    left: set[CommandKey] = field(default_factory=set)
    put_aside: bool = False


class CommandBus:
    """Owns every command that is in this process, from its admission until it is settled."""

    def __init__(
        self,
        admission: Admission,
        queue: CommitQueue,
        lanes: Lanes,
        outcomes: Outcomes,
        tokens: ConsistencyTokens,
        limits: Limits,
        cover: Cover,
        ownership: Ownership,
        forwarding: Forwarding,
    ) -> None:
        self._admission = admission
        self._queue = queue
        self._lanes = lanes
        self._outcomes = outcomes
        self._tokens = tokens
        self._limits = limits
        self._cover = cover
        self._ownership = ownership
        self._forwarding = forwarding
        self._in_flight: dict[CommandKey, Pending] = {}
        self.open = OpenCommands(limits)
        self._young: list[Pending] = []
        self._old: list[Pending] = []
        self._sweep: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.fast_path_after = 0.0
        self.overflow = False
        self.crowded = False
        self._movements: Movements | None = None
        self.stopping = False
        self.on_room: Callable[[], None] = lambda: None
        self.on_scheduled: Callable[[int], None] = lambda due: None

    @property
    def claimed(self) -> int:
        """Count the commands in this process."""
        return len(self._in_flight)

    def holds(self, key: CommandKey) -> bool:
        """Tell whether a command is in this process."""
        return key in self._in_flight

    def dispatch(self, request: CommandRequest) -> asyncio.Future[Receipt]:
        """Admit a command and queue it, before returning; the future ends at the stage asked for, or when the wait is
        over.

        Raises InvalidMessage, UnknownType, Overloaded, RequestIdReused or ShuttingDown at once. The future raises
        Unavailable, RequestIdReused or ShuttingDown; a refusal by the domain is inside the receipt.
        """
        if self.stopping:
            raise ShuttingDown
        pending = self._admission.admit(request)
        known = self._in_flight.get(pending.key)
        if known is not None:
            return self._join(known, pending, request)
        self.open.reserve(pending.key.tenant_id)
        waiter = self._waiter(pending, request)
        pending.waiters.append(waiter)
        self._in_flight[pending.key] = pending
        if not self._ownership.owns(pending.new.partition):
            self._send_to_owner(pending, request, waiter)
        elif self._may_run_at_once(pending, request):
            self._enqueue(pending)
            self._watch_age(pending)
        else:
            self._accept_in_order(pending)
        return waiter.future

    def settle(self, pending: Pending, settlement: Settlement) -> None:
        """Answer everybody who waits for a command that has left its lane."""
        if settlement.returned:
            self._return(pending)
            return
        self._leave(pending)
        self._tell_end(pending, settlement)

    def _tell_end(self, pending: Pending, settlement: Settlement) -> None:
        receipt = settlement.receipt
        if receipt is None:
            error = settlement.error or Unavailable()
            for waiter in pending.waiters:
                waiter.fail(error)
            return
        if receipt.stage is Stage.EXECUTED and self._somebody_wants_projected(pending):
            self._spawn(self._projected(pending, receipt, settlement.event_types))
        pending.reached(receipt)
        self._outcomes.reached(pending.key, receipt)
        self._hand_over(pending)
        if receipt.stage is Stage.ACCEPTED:  # the store has it, and may have been passed over because this was here
            self.on_room()

    def take_in(self, pending: Pending) -> None:
        """Queue a stored command that is not in this process yet."""
        if pending.key in self._in_flight:
            return
        self.open.claim(pending.key.tenant_id)
        self._in_flight[pending.key] = pending
        self._enqueue(pending)

    def lose(self, partitions: Collection[int]) -> None:
        """Let go of the commands of partitions that are executed elsewhere from now on; what runs meets its fence."""
        for pending in self._lanes.take_queued(partitions):
            self._return(pending)

    def reroute(self) -> None:
        """Store the commands that were forwarded to an instance that does not own them any more: the present owner finds them."""
        for pending in list(self._in_flight.values()):
            if pending.forwarded and self._ownership.address_of(pending.new.partition) != pending.forwarded:
                pending.forwarded = ""
                self._accept(pending)

    @contextmanager
    def noting_movements(self) -> Iterator[Movements]:
        """Note what becomes of commands meanwhile."""
        self._movements = Movements()
        try:
            yield self._movements
        finally:
            self._movements = None

    async def stop(self) -> None:
        """Fail those who still wait."""
        if self._sweep is not None:
            self._sweep.cancel()
        for task in list(self._tasks):
            task.cancel()
        for pending in list(self._in_flight.values()):
            for waiter in pending.waiters:
                waiter.fail(ShuttingDown())
        self._outcomes.fail_all(ShuttingDown())

    def _may_run_at_once(self, pending: Pending, request: CommandRequest) -> bool:
        return (
            request.wait is not Stage.ACCEPTED
            and not request.retried
            and request.not_before is None
            and not self.overflow
            and not self._lanes.backlog(pending.aggregate)
            and asyncio.get_running_loop().time() >= self.fast_path_after
            and not self._ownership.suspicious(pending.new.partition)
        )

    def _enqueue(self, pending: Pending) -> None:
        pending.fence = self._ownership.fence(pending.new.partition)
        self._lanes.enqueue(pending)

    def _send_to_owner(self, pending: Pending, request: CommandRequest, waiter: Waiter) -> None:
        """Forward a command that is waited for to the instance that owns it; store every other one, for its owner to claim."""
        address = self._ownership.address_of(pending.new.partition)
        if waiter.goal is Stage.ACCEPTED or request.forwarded or not address:
            self._accept(pending)
        else:
            pending.forwarded = address
            self._spawn(self._forward(pending, request, address))

    async def _forward(self, pending: Pending, request: CommandRequest, address: str) -> None:
        """Have the owner dispatch a command; where it can not be reached, store the command, which is the same one if it is there already."""
        try:
            receipt = await self._forwarding(
                address, replace(request, request_id=pending.key.request_id, forwarded=True)
            )
        except PeerUnreachable:
            if pending.forwarded and self._in_flight.get(pending.key) is pending:
                pending.forwarded = ""
                self._accept(pending)
            return
        except FacadeError as error:
            self._settle_forwarded(pending, Settlement(error=error))
            return
        self._settle_forwarded(pending, Settlement(receipt))

    def _settle_forwarded(self, pending: Pending, settlement: Settlement) -> None:
        """Settle what the owner answered, unless the command was stored here meanwhile: then the store tells its end."""
        if self._in_flight.get(pending.key) is pending and not pending.durable:
            self._leave(pending)
            if settlement.receipt is not None and settlement.receipt.stage is Stage.ACCEPTED:
                self.open.reopen(pending.key.tenant_id)
            self._tell_end(pending, settlement)

    def _return(self, pending: Pending) -> None:
        """Give a command that was not executed here back to the store, or store it."""
        if pending.durable:
            self._put_aside(pending)
            self.on_room()
        else:
            self._accept(pending)

    def _leave(self, pending: Pending) -> None:
        if self._in_flight.get(pending.key) is pending:
            del self._in_flight[pending.key]
        self.open.close(pending.key.tenant_id)
        pending.settle()
        if self._movements is not None:
            self._movements.left.add(pending.key)
        self._tell_room()

    def _tell_room(self) -> None:
        """Have stored commands claimed, where some wait for room and there is much of it."""
        if (self.overflow or self.crowded) and len(self._in_flight) < max(1, self._limits.claimed_commands // 2):
            self.on_room()

    def _join(self, known: Pending, pending: Pending, request: CommandRequest) -> asyncio.Future[Receipt]:
        """Wait for the same command that is already here; a different one under this id is refused once the first is
        known to be stored."""
        if known.new.fingerprint == pending.new.fingerprint or _same_in_flight(known, pending):
            waiter = self._waiter(pending, request)
            known.waiters.append(waiter)
            if known.durable:
                known.reached(accepted_receipt(known.key.request_id, known.aggregate.aggregate_id))
            return waiter.future
        if known.durable:
            raise RequestIdReused(pending.key.request_id)
        if known.settled is None:
            known.settled = asyncio.Event()
        self._store_now(known)
        waiter = Waiter(Stage.ACCEPTED, asyncio.get_running_loop().create_future())
        self._spawn(self._again(known.settled, request, waiter))
        return waiter.future

    async def _again(self, settled: asyncio.Event, request: CommandRequest, waiter: Waiter) -> None:
        await settled.wait()
        try:
            waiter.answer(await self.dispatch(request))
        except FacadeError as error:
            waiter.fail(error)

    def _waiter(self, pending: Pending, request: CommandRequest) -> Waiter:
        loop = asyncio.get_running_loop()
        longest = self._limits.longest_wait
        timeout = longest if request.wait_timeout is None else min(request.wait_timeout, longest)
        goal = Stage.ACCEPTED if request.not_before is not None else request.wait
        waiter = Waiter(goal, loop.create_future())
        if goal is not Stage.ACCEPTED:
            waiter.timer = loop.call_later(timeout, self._expire, pending.key, pending, waiter)
        return waiter

    def _expire(self, key: CommandKey, admitted: Pending, waiter: Waiter) -> None:
        """End a wait with the stage reached; what is not stored yet is stored first, since a receipt says at least
        accepted."""
        waiter.goal = Stage.ACCEPTED
        pending = self._in_flight.get(key, admitted)
        if pending.forwarded and not pending.durable:
            pending.forwarded = ""
            self._accept(pending)
        elif waiter.latest is not None or pending.durable:
            self._outcomes.remove(key, waiter)
            waiter.answer(waiter.latest or accepted_receipt(key.request_id, pending.aggregate.aggregate_id))
        else:
            self._store_now(pending)

    def _watch_age(self, pending: Pending) -> None:
        self._young.append(pending)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._limits.accept_after / 2, self._sweep_old)

    def _sweep_old(self) -> None:
        """Store the commands that have waited through a whole sweep and have not begun."""
        old, self._old, self._young = self._old, self._young, []
        for pending in old:
            if not pending.durable and self._in_flight.get(pending.key) is pending:
                self._accept_transients(pending)
        self._sweep = None
        if self._old:
            self._sweep = asyncio.get_running_loop().call_later(self._limits.accept_after / 2, self._sweep_old)

    def _store_now(self, pending: Pending) -> None:
        """Store a command that is not stored yet, although it runs or is to run at once."""
        if not self._lanes.running(pending):
            self._accept_transients(pending)
        elif pending.accepting is None:
            pending.accepting = self._queue.submit(AcceptCommand(command=begun(pending)))
            pending.accepting.add_done_callback(partial(self._accepted_running, pending))

    def _accepted_running(self, pending: Pending, future: asyncio.Future[Verdict]) -> None:
        """Note that a running command is stored; where it is not, its commit will tell why."""
        if not future.cancelled() and future.exception() is None and isinstance(future.result(), CommandAccepted):
            pending.attempts = 1
            pending.stored()
            pending.reached(accepted_receipt(pending.key.request_id, pending.aggregate.aggregate_id))

    def _accept_transients(self, pending: Pending) -> None:
        for queued in self._lanes.take_transient(pending.aggregate):
            self._accept(queued)

    def _accept_in_order(self, pending: Pending) -> None:
        """Store a command; those of its aggregate that wait unstored before it are stored before it."""
        self._accept_transients(pending)
        self._accept(pending)

    def _accept(self, pending: Pending) -> None:
        self._lanes.begin_accept(pending.aggregate)
        self._queue.submit(AcceptCommand(command=pending.new)).add_done_callback(partial(self._accepted, pending))

    def _accepted(self, pending: Pending, future: asyncio.Future[Verdict]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if error is not None:
            self._lanes.end_accept(pending.aggregate)
            if not isinstance(error, StoreUnavailable):
                _log.error("accept failed", error=type(error).__qualname__)
            self.settle(pending, Settlement(error=Unavailable()))
            return
        verdict = future.result()
        if isinstance(verdict, CommandKnown):
            self._lanes.end_accept(pending.aggregate)
            same = same_command(pending, verdict.stored)
            error_or_none = None if same else RequestIdReused(pending.key.request_id)
            self.settle(pending, Settlement(receipt_of(verdict.stored, self._tokens) if same else None, error_or_none))
            return
        assert isinstance(verdict, CommandAccepted)
        pending.stored()
        pending.reached(accepted_receipt(pending.key.request_id, pending.aggregate.aggregate_id))
        self._queue_stored(pending)
        self._lanes.end_accept(pending.aggregate)

    def _queue_stored(self, pending: Pending) -> None:
        """Queue a command that was just stored, unless it has to wait in the store: for its time, or for room here."""
        if not self._ownership.owns(pending.new.partition):
            self._put_aside(pending)
        elif pending.new.not_before is not None:
            self._put_aside(pending)
            self.on_scheduled(pending.new.not_before)
        elif self.overflow or len(self._in_flight) > self._limits.claimed_commands:
            self.overflow = True
            if self._movements is not None:
                self._movements.put_aside = True
            self._put_aside(pending)
            self._tell_room()
        else:
            self._enqueue(pending)

    def _put_aside(self, pending: Pending) -> None:
        if self._in_flight.pop(pending.key, None) is not None:
            self.open.leave(pending.key.tenant_id)
        self._hand_over(pending)

    def _hand_over(self, pending: Pending) -> None:
        """Let those who still wait for a stored command do so by its key alone."""
        pending.stored()
        for waiter in pending.waiters:
            if not waiter.future.done():
                self._outcomes.add(pending.key, waiter)
        pending.waiters = []

    def _somebody_wants_projected(self, pending: Pending) -> bool:
        return any(waiter.goal is Stage.PROJECTED for waiter in pending.waiters) or self._outcomes.waiting(pending.key)

    async def _projected(self, pending: Pending, receipt: Receipt, types: frozenset[str] | None) -> None:
        try:
            await self._cover(receipt, types)
        except StoreUnavailable:  # whoever waits is told in the end that the command is executed
            return
        self._outcomes.reached(pending.key, projected(receipt))

    def _spawn(self, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def projected(receipt: Receipt) -> Receipt:
    """Return the receipt of an executed command whose events the projections cover."""
    return replace(receipt, stage=Stage.PROJECTED)


def _same_in_flight(known: Pending, pending: Pending) -> bool:
    return (
        known.new.type == pending.new.type
        and known.new.expected_version == pending.new.expected_version
        and known.new.not_before == pending.new.not_before
        and known.context.actor_id == pending.context.actor_id
        and known.message == pending.message
    )
