"""The command bus: accepts commands, durably before it says so, hands them to the lanes, and answers those who wait.

Among several instances any of them takes a command, and its owner executes it: it is forwarded there, or stored for the owner to claim while
that can not be reached.

Fast path: a command that is waited for, on an aggregate without backlog, is executed without being stored first; its
row, its events and its
outcome are one commit. Whoever waits too long in the queue is stored after all.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine
from dataclasses import replace

from comby.server.application.acceptance import Acceptance
from comby.server.application.admission import Admission
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.deadlines import Deadlines
from comby.server.application.errors import (
    FacadeError,
    RequestIdReused,
    ShuttingDown,
    Unavailable,
)
from comby.server.application.executor import Settlement
from comby.server.application.forwarding import Dispatch, Forwarding
from comby.server.application.in_flight import InFlight
from comby.server.application.lanes import Lanes
from comby.server.application.limits import Limits
from comby.server.application.outcomes import Outcomes
from comby.server.application.ownership import Ownership
from comby.server.application.pending import Pending, Reply, Waiter
from comby.server.application.receipts import accepted_receipt, receipt_of
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import CommandKey
from comby.server.ports.command_store import CommandStore
from comby.server.ports.errors import StoreUnavailable

Cover = Callable[[Receipt, frozenset[str] | None], Awaitable[None]]


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
        dispatch: Dispatch,
        commands: CommandStore,
    ) -> None:
        """`dispatch` has a command dispatched by the instance at an address."""
        self._commands = commands
        self._tokens = tokens
        self._admission = admission
        self._lanes = lanes
        self._outcomes = outcomes
        self._limits = limits
        self._cover = cover
        self._ownership = ownership
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadlines = Deadlines(self._expire)
        self.fast_path_after = 0.0
        self.stopping = False
        self.in_flight = InFlight(outcomes, limits)
        self.acceptance = Acceptance(self.in_flight, queue, lanes, tokens, limits, ownership, self.settle)
        self.forwarding = Forwarding(
            self.in_flight, self.acceptance, ownership, dispatch, self._spawn, self._tell_end, limits
        )

    def holds(self, key: CommandKey) -> bool:
        """Tell whether a command is in this process."""
        return self.in_flight.get(key) is not None

    def dispatch(self, request: CommandRequest) -> asyncio.Future[Receipt]:
        """Do the same as `dispatch_to` with a future."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.dispatch_to(request, future)
        return future

    def dispatch_to(self, request: CommandRequest, reply: Reply) -> None:
        """Admit a command and queue it, before returning; it is replied to at the stage asked for, or when the wait is
        over.

        Raises InvalidMessage, UnknownType, Overloaded, RequestIdReused or ShuttingDown at once. The reply may be
        Unavailable, RequestIdReused or ShuttingDown; a refusal by the domain is inside the receipt.
        """
        if self.stopping:
            raise ShuttingDown
        pending = self._admission.admit(request)
        known = self.in_flight.get(pending.key)
        if known is not None:
            self._join(known, pending, request, reply)
            return
        self.in_flight.open.reserve(pending.key.tenant_id)
        waiter = self._waiter(pending, request, reply)
        pending.waiters.append(waiter)
        self.in_flight.add(pending)
        if not self._ownership.owns(pending.new.partition):
            self.forwarding.send_to_owner(pending, request)
        elif self._may_run_at_once(pending, request):
            if not self.acceptance.enqueue(pending):
                self.acceptance.watch_age(pending)
        else:
            self.acceptance.accept_in_order(pending)

    def settle(self, pending: Pending, settlement: Settlement) -> None:
        """Answer everybody who waits for a command that has left its lane."""
        if settlement.returned:
            self.acceptance.give_back(pending)
            return
        self.in_flight.leave(pending)
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
        self.in_flight.hand_over(pending)
        if receipt.stage is Stage.ACCEPTED:  # the store has it, and may have been passed over because this was here
            self.in_flight.on_room()

    def take_in(self, pending: Pending) -> None:
        """Queue a stored command that is not in this process yet."""
        if self.in_flight.claim(pending):
            self.acceptance.enqueue(pending)

    def lose(self, partitions: Collection[int]) -> None:
        """Let go of the commands of partitions that are executed elsewhere from now on; what runs meets its fence."""
        for pending in self._lanes.take_queued(partitions):
            self.acceptance.give_back(pending)

    async def stop(self) -> None:
        """Fail those who still wait."""
        self.acceptance.stop()
        self._deadlines.stop()
        for task in list(self._tasks):
            task.cancel()
        for pending in self.in_flight:
            for waiter in pending.waiters:
                waiter.fail(ShuttingDown())
        self._outcomes.fail_all(ShuttingDown())

    def _may_run_at_once(self, pending: Pending, request: CommandRequest) -> bool:
        return (
            request.wait is not Stage.ACCEPTED
            and not request.retried
            and request.not_before is None
            and not self.in_flight.overflow
            and not self._lanes.backlog(pending.aggregate)
            and asyncio.get_running_loop().time() >= self.fast_path_after
            and not self._ownership.suspicious(pending.new.partition)
        )

    def _join(self, known: Pending, pending: Pending, request: CommandRequest, reply: Reply) -> None:
        """Wait for the same command that is already here; a different one under this id is refused once the first is
        known to be stored."""
        if known.new.fingerprint == pending.new.fingerprint or _same_in_flight(known, pending):
            known.waiters.append(self._waiter(pending, request, reply))
            if known.durable:
                known.reached(accepted_receipt(known.key.request_id, known.aggregate.aggregate_id))
            return
        if known.durable:
            raise RequestIdReused(pending.key.request_id)
        if known.settled is None:
            known.settled = asyncio.Event()
        self.acceptance.store_now(known)
        self._spawn(self._again(known.settled, request, Waiter(Stage.ACCEPTED, reply)))

    async def _again(self, settled: asyncio.Event, request: CommandRequest, waiter: Waiter) -> None:
        await settled.wait()
        try:
            waiter.answer(await self.dispatch(request))
        except FacadeError as error:
            waiter.fail(error)

    def _waiter(self, pending: Pending, request: CommandRequest, reply: Reply) -> Waiter:
        longest = self._limits.longest_wait
        timeout = longest if request.wait_timeout is None else min(request.wait_timeout, longest)
        goal = Stage.ACCEPTED if request.not_before is not None else request.wait
        waiter = Waiter(goal, reply)
        if goal is not Stage.ACCEPTED:
            self._deadlines.watch(pending, waiter, timeout)
        return waiter

    def _expire(self, admitted: Pending, waiter: Waiter) -> None:
        """End a wait with the stage reached; what is not stored yet is stored first, since a receipt says at least
        accepted."""
        waiter.goal = Stage.ACCEPTED
        key = admitted.key
        pending = self.in_flight.get(key) or admitted
        if pending.forwarded and not pending.durable:
            self.forwarding.store(pending)
        elif waiter.latest is not None or pending.durable:
            self._outcomes.remove(key, waiter)
            latest = waiter.latest or accepted_receipt(key.request_id, pending.aggregate.aggregate_id)
            if waiter.latest is None and not self.in_flight.has(pending):
                self._spawn(self._answer_stored(key, waiter, latest))
            else:
                waiter.answer(latest)
        else:
            self.acceptance.store_now(pending)

    async def _answer_stored(self, key: CommandKey, waiter: Waiter, latest: Receipt) -> None:
        """End a wait for a command that is not here with the stage that the store has."""
        try:
            stored = await self._commands.get(key)
        except StoreUnavailable:
            stored = None
        waiter.answer(latest if stored is None else receipt_of(stored, self._tokens))

    def _somebody_wants_projected(self, pending: Pending) -> bool:
        for waiter in pending.waiters:
            if waiter.goal is Stage.PROJECTED:
                return True
        return self._outcomes.waiting(pending.key)

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
