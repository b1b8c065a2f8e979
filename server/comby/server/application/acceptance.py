"""Acceptance: stores commands durably before anybody is told that they are accepted, in the order of each aggregate."""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from comby.server.application.commit_queue import CommitQueue
from comby.server.application.errors import RequestIdReused, Unavailable
from comby.server.application.executor import Settlement, begun
from comby.server.application.in_flight import InFlight
from comby.server.application.lanes import Lanes
from comby.server.application.limits import Limits
from comby.server.application.ownership import Ownership
from comby.server.application.pending import Pending
from comby.server.application.receipts import receipt_of
from comby.server.application.same_command import same_command
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import AggregateKey
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import AcceptCommand, CommandAccepted, CommandKnown, Verdict

_log = structlog.get_logger("comby.commands")


class Acceptance:
    """Stores what can not be executed at once; `settle` is told of those that were stored before, or could not be stored."""

    def __init__(
        self,
        in_flight: InFlight,
        queue: CommitQueue,
        lanes: Lanes,
        tokens: ConsistencyTokens,
        limits: Limits,
        ownership: Ownership,
        settle: Callable[[Pending, Settlement], None],
    ) -> None:
        self._in_flight = in_flight
        self._queue = queue
        self._lanes = lanes
        self._tokens = tokens
        self._limits = limits
        self._ownership = ownership
        self._settle = settle
        self._young: list[Pending] = []
        self._old: list[Pending] = []
        self._sweep: asyncio.TimerHandle | None = None
        self.on_scheduled: Callable[[int], None] = lambda due: None

    def stop(self) -> None:
        """Look after nobody any more."""
        if self._sweep is not None:
            self._sweep.cancel()

    def enqueue(self, pending: Pending) -> bool:
        """Queue a command in its lane, under the ownership of now; tell whether it has begun at once."""
        pending.fence = self._ownership.fence(pending.new.partition)
        return self._lanes.enqueue(pending)

    def storing(self, aggregate: AggregateKey) -> bool:
        """Tell whether commands of an aggregate are being stored, or were and are not executed yet."""
        return self._lanes.backlog(aggregate)

    def watch_age(self, pending: Pending) -> None:
        """Store a command after all if it has to wait too long before it begins."""
        self._young.append(pending)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._limits.accept_after / 2, self._sweep_old)

    def _sweep_old(self) -> None:
        """Store the commands that have waited through a whole sweep and have not begun."""
        old, self._old, self._young = self._old, self._young, []
        for pending in old:
            if not pending.durable and self._in_flight.has(pending):
                self._accept_transients(pending)
        self._sweep = None
        if self._old:
            self._sweep = asyncio.get_running_loop().call_later(self._limits.accept_after / 2, self._sweep_old)

    def store_now(self, pending: Pending) -> None:
        """Store a command that is not stored yet, although it runs or is to run at once."""
        if not self._lanes.running(pending):
            self._accept_transients(pending)
        elif pending.accepting is None:
            pending.accepting = self._queue.submit(AcceptCommand(command=begun(pending)))
            pending.accepting.add_done_callback(partial(self._accepted_running, pending))

    def _accepted_running(self, pending: Pending, future: asyncio.Future[Verdict]) -> None:
        """Note that a running command is stored; where it is not, its commit will tell why."""
        if future.cancelled() or future.exception() is not None:
            return
        verdict = future.result()
        if isinstance(verdict, CommandAccepted):
            pending.attempts = 1
            pending.started = True
            pending.accepted(verdict.accept_seq)

    def _accept_transients(self, pending: Pending) -> None:
        for queued in self._lanes.take_transient(pending.aggregate):
            self.accept(queued)

    def _put_behind(self, pending: Pending) -> None:
        """See to it that a command stays behind the one in hand, which came before it: where instances share the work that one may be found to
        have to wait, and be stored after all."""
        in_hand = self._lanes.in_hand(pending.aggregate)
        if in_hand is None or in_hand is pending or in_hand.fence is None:
            return
        if in_hand.behind is None:
            in_hand.behind = set()
        in_hand.behind.add(pending.key)
        if not (pending.durable or in_hand.durable):
            self.store_now(in_hand)

    def accept_in_order(self, pending: Pending) -> None:
        """Store a command; those of its aggregate that wait unstored before it are stored before it."""
        self._accept_transients(pending)
        self.accept(pending)

    def accept(self, pending: Pending) -> None:
        """Store a command; nothing of its aggregate overtakes it meanwhile."""
        self._put_behind(pending)
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
            self._settle(pending, Settlement(error=Unavailable()))
            return
        verdict = future.result()
        if isinstance(verdict, CommandKnown):
            self._lanes.end_accept(pending.aggregate)
            same = same_command(pending, verdict.stored)
            error_or_none = None if same else RequestIdReused(pending.key.request_id)
            self._settle(pending, Settlement(receipt_of(verdict.stored, self._tokens) if same else None, error_or_none))
            return
        assert isinstance(verdict, CommandAccepted)
        pending.accepted(verdict.accept_seq)
        self._queue_stored(pending)
        self._lanes.end_accept(pending.aggregate)

    def _queue_stored(self, pending: Pending) -> None:
        """Queue a command that was just stored, unless it has to wait in the store: for its time, or for room here."""
        if not self._ownership.owns(pending.new.partition):
            self._in_flight.put_aside(pending)
        elif pending.new.not_before is not None:
            self._in_flight.put_aside(pending)
            self.on_scheduled(pending.new.not_before)
        elif self._in_flight.overflow or len(self._in_flight) > self._limits.claimed_commands:
            self._in_flight.put_aside_for_room(pending)
        else:
            self.enqueue(pending)

    def give_back(self, pending: Pending) -> None:
        """Give a command that is not executed here back to the store, or store it."""
        if pending.durable:
            self._put_behind(pending)
            self._in_flight.put_aside(pending)
            self._in_flight.on_room()
        else:
            pending.claimed = True  # what came after it here may have begun before it is stored
            self.accept(pending)
