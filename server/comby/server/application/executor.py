"""The executor: carries one command from its lane to its commit, however often that takes.

It runs the decision, has it committed together with the command's outcome, and only then lets the new state be seen.
A conflict is decided
again on fresh state; a handler that fails is tried again, counted each time, and parked in the end.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from comby.server.application import incidents
from comby.server.application.cancellation import being_cancelled
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.decisions import Decider, Decision, Written
from comby.server.application.errors import (
    CommandParked,
    FacadeError,
    RequestIdReused,
    Unavailable,
)
from comby.server.application.isolation import Isolation
from comby.server.application.limits import Limits
from comby.server.application.pending import Pending
from comby.server.application.receipts import (
    encode_outcome,
    receipt_of,
)
from comby.server.application.repository import Repository
from comby.server.application.requests import Receipt, Stage
from comby.server.application.same_command import same_command
from comby.server.application.tokens import ConsistencyTokens
from comby.server.application.watchdog import HandlerInterrupted
from comby.server.domain.identity import Version
from comby.server.ports.command_store import CommandStatus, NewCommand, StoredCommand
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    AcceptCommand,
    Behind,
    CommandAccepted,
    CommandKnown,
    CommandNotOpen,
    CommandStarted,
    Committed,
    Fenced,
    FinishCommand,
    NewEvent,
    StartCommand,
    Verdict,
    VersionConflict,
)

_log = structlog.get_logger("comby.executor")
CONFLICTS = 10
"""Decisions on fresh state before the command waits longer."""
RETRY_BASE = 0.1
"""Seconds before the second attempt; doubled before each further one."""
LONE_ATTEMPT = 3
"""From this attempt on a command that may have ended the process runs alone: it was at work when the process ended twice. After one end of a
process nearly all that were at work are innocent, and one after the other they would hold up all others for the sum of their times."""
SUSPECT_BASE = 0.5
"""Seconds before a command runs again that may have ended the process; doubled with each attempt, so that others are served meanwhile."""
STORE_RETRY = 0.5
"""Seconds between tries of a stored command while the store is away."""


@dataclass(slots=True)
class Settlement:
    """How a command left the executor: with a receipt, or with an error that says nothing of it is stored; or `returned`, because another
    instance owns its partition, or another command comes first.

    `events` are None where the command was executed before, and its events would have to be looked up.
    """

    receipt: Receipt | None = None
    error: FacadeError | None = None
    events: tuple[NewEvent, ...] | None = None
    returned: bool = False

    @property
    def event_types(self) -> frozenset[str] | None:
        """The types of the events that the command caused."""
        return None if self.events is None else frozenset([event.type for event in self.events])


class Executor:
    """`settle` is told the end of every command, once."""

    def __init__(
        self,
        decider: Decider,
        queue: CommitQueue,
        repository: Repository,
        tokens: ConsistencyTokens,
        isolation: Isolation,
        limits: Limits,
        settle: Callable[[Pending, Settlement], None],
        comes_first: Callable[[Pending], Awaitable[bool]],
    ) -> None:
        """`comes_first` tells whether no open command of a command's aggregate comes before it."""
        self._comes_first = comes_first
        self._decider = decider
        self._queue = queue
        self._repository = repository
        self._tokens = tokens
        self._isolation = isolation
        self._limits = limits
        self._settle = settle
        self._snapshots: set[asyncio.Task[None]] = set()

    def begin(self, pending: Pending, ended: Callable[[Pending, bool], None]) -> bool:
        """Begin a command that is not stored without a task of its own, where nothing but its commit has to be awaited.

        Answer False when it can not be done. Otherwise `ended` is called once: with True when `execute` has to go on
        with it.
        """
        if pending.durable:
            return False
        try:
            decision = self._decider.decide_at_once(pending)
            if decision is None:
                return False
            finish = _finish(pending, decision)
        except (Exception, HandlerInterrupted) as error:
            pending.failed = error
            return False
        self._queue.write(finish, _Begun(self, pending, decision, ended).told)
        return True

    def end(
        self,
        pending: Pending,
        decision: Decision,
        ended: Callable[[Pending, bool], None],
        verdict: Verdict | StoreUnavailable,
    ) -> None:
        """Settle a command that was begun at once, or leave it to `execute`."""
        settlement: Settlement | None = None
        again = isinstance(verdict, Behind)
        try:
            if isinstance(verdict, StoreUnavailable):
                self._forget(pending)
            elif not again:
                settlement = self._settlement(pending, decision, verdict)
                again = settlement is None
        finally:
            if not again:
                self._settle(pending, settlement or Settlement(error=Unavailable()))
            ended(pending, again)

    async def execute(self, pending: Pending) -> None:
        """Carry a command to its end; it is executed, refused, parked, or was finished elsewhere."""
        while True:
            try:
                settlement = await self._attempt(pending)
            except StoreUnavailable:
                self._forget(pending)
                if not pending.durable:
                    self._settle(pending, Settlement(error=Unavailable()))
                    return
                await asyncio.sleep(STORE_RETRY)
                continue
            if settlement is not None:
                self._settle(pending, settlement)
                return
            await asyncio.sleep(RETRY_BASE * 2 ** (pending.attempts - 1) * random.uniform(0.8, 1.2))

    async def _attempt(self, pending: Pending) -> Settlement | None:
        """Start and run the command once; None when the handler failed and is to be tried again.

        An attempt whose end could not be stored goes on, and is not counted again: the command has done nothing wrong.
        """
        if pending.attempts >= self._limits.attempts and not pending.started:
            return await self._park(
                pending, incidents.report("command ended the process", RuntimeError(), command=pending.kind.identifier)
            )
        if not pending.durable:
            return await self._begin(pending)
        if pending.suspect and not pending.started:
            await asyncio.sleep(SUSPECT_BASE * 2 ** (pending.attempts - 1))
        attempt = pending.attempts if pending.started else pending.attempts + 1
        lone = pending.suspect and attempt >= LONE_ATTEMPT
        hold = self._isolation.alone() if lone else self._isolation.together()
        async with hold:
            return await self._start(pending) or await self._begin(pending)

    async def _start(self, pending: Pending) -> Settlement | None:
        """Count an attempt, unless one goes on; where the command does not begin, return its end."""
        if pending.started:
            return None
        started = await self._queue.submit(StartCommand(key=pending.key, fence=pending.fence))
        if isinstance(started, CommandNotOpen):
            return self._as_stored(started.stored)
        if isinstance(started, Fenced | Behind):
            return Settlement(returned=True)
        assert isinstance(started, CommandStarted)
        pending.attempts = started.attempts
        pending.started = True
        return None

    async def _begin(self, pending: Pending) -> Settlement | None:
        try:
            return await self._decide_and_commit(pending)
        except StoreUnavailable:
            raise
        except (Exception, HandlerInterrupted, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and being_cancelled():
                raise
            incident = incidents.report(
                "handler failed", error, command=pending.kind.identifier, attempt=pending.attempts
            )
            self._forget(pending)
            return await self._failed(pending, incident)

    async def _decide_and_commit(self, pending: Pending) -> Settlement:
        failed, pending.failed = pending.failed, None
        if failed is not None:
            raise failed
        tries = 0
        while True:
            decision = await self._decider.decide(pending)
            await _stored_meanwhile(pending)
            if pending.accepting is not None and not await self._may_finish(pending):
                self._forget(pending)
                return Settlement(returned=True)
            verdict = await self._queue.submit(_finish(pending, decision))
            if isinstance(verdict, Behind) and pending.fence is not None and await self._comes_first(pending):
                pending.fence = replace(pending.fence, first=True)
                verdict = await self._queue.submit(_finish(pending, decision))
            settlement = self._settlement(pending, decision, verdict)
            if settlement is not None:
                return settlement
            tries += 1
            if tries % CONFLICTS == 0:
                _log.warning("conflicts persist", command=pending.kind.identifier, tries=tries)
                await asyncio.sleep(RETRY_BASE * random.uniform(1.0, 3.0))
            else:
                await asyncio.sleep(0.001 * 2 ** min(tries, 6) * random.random())

    async def _may_finish(self, pending: Pending) -> bool:
        """Tell whether a command that was stored while it ran may end: the store asks only of those that begin whether older ones wait."""
        return not pending.durable or pending.fence is None or await self._comes_first(pending)

    def _settlement(self, pending: Pending, decision: Decision, verdict: Verdict) -> Settlement | None:
        """Turn a verdict into the command's end; None after a conflict: what it rested on is forgotten, so it is
        decided anew."""
        match verdict:
            case Committed():
                self._remember(decision)
                return self._committed(pending, decision, verdict)
            case CommandKnown(stored):
                return self.known(pending, stored)
            case CommandNotOpen(stored):
                return self._as_stored(stored)
            case Fenced() | Behind():
                self._forget(pending)
                return Settlement(returned=True)
            case VersionConflict(violations):
                for violation in violations:
                    self._repository.forget(violation.key)
                return None
            case _:
                raise TypeError(f"no verdict of a finish: {type(verdict).__name__}")

    async def _failed(self, pending: Pending, incident: str) -> Settlement | None:
        """Count a failed attempt; store a command that was not stored before its first failure."""
        await _stored_meanwhile(pending)
        pending.started = False
        if not pending.durable:
            pending.attempts = 1
            verdict = await self._queue.submit(AcceptCommand(command=begun(pending)))
            if isinstance(verdict, CommandKnown):
                return self.known(pending, verdict.stored)
            assert isinstance(verdict, CommandAccepted)
            pending.accepted(verdict.accept_seq)
        if pending.attempts >= self._limits.attempts:
            return await self._park(pending, incident)
        return None

    async def _park(self, pending: Pending, incident: str) -> Settlement:
        error = CommandParked(incident=incident, attempts=pending.attempts)
        verdict = await self._queue.submit(
            FinishCommand(
                command=pending.key,
                status=CommandStatus.PARKED,
                outcome=encode_outcome((), error),
                version=Version(0),
                fence=pending.fence,
            )
        )
        if isinstance(verdict, CommandNotOpen):
            return self._as_stored(verdict.stored)
        if isinstance(verdict, Fenced):
            return Settlement(returned=True)
        _log.error(
            "command parked", command=pending.kind.identifier, request_id=pending.key.request_id, incident=incident
        )
        return Settlement(_receipt(pending, Stage.PARKED, error))

    def known(self, pending: Pending, stored: StoredCommand) -> Settlement:
        """Answer a request id that is stored already: with the stored outcome if it is the same command."""
        if not same_command(pending, stored):
            return Settlement(error=RequestIdReused(pending.key.request_id))
        return Settlement(receipt_of(stored, self._tokens))

    def _as_stored(self, stored: StoredCommand | None) -> Settlement:
        if stored is None:
            return Settlement(error=Unavailable())
        return Settlement(receipt_of(stored, self._tokens))

    def _committed(self, pending: Pending, decision: Decision, verdict: Committed) -> Settlement:
        if decision.error is not None:
            return Settlement(_receipt(pending, Stage.REJECTED, decision.error))
        receipt = Receipt(
            pending.key.request_id,
            Stage.EXECUTED,
            pending.aggregate.aggregate_id,
            decision.version,
            verdict.last,
            self._tokens.make(verdict.last),
            decision.event_ids,
        )
        return Settlement(receipt, None, decision.events)

    def _remember(self, decision: Decision) -> None:
        for written in decision.written:
            self._repository.remember(written.key, written.loaded, len(written.state))
            every = self._limits.snapshot_every
            if written.loaded.version // every > written.before // every:
                task = asyncio.get_running_loop().create_task(self._snapshot(written))
                self._snapshots.add(task)
                task.add_done_callback(self._snapshots.discard)

    async def _snapshot(self, written: Written) -> None:
        try:
            await self._repository.save_snapshot(written.key, written.kind, written.loaded.version, written.state)
        except StoreUnavailable:
            _log.warning("snapshot not saved", aggregate=written.kind.identifier)

    def _forget(self, pending: Pending) -> None:
        self._repository.forget(pending.aggregate)


class _Begun:
    """A command that was begun at once and waits for its verdict. A partial would be twice as large, and thousands may be waiting."""

    __slots__ = ("_decision", "_ended", "_executor", "_pending")

    def __init__(
        self, executor: Executor, pending: Pending, decision: Decision, ended: Callable[[Pending, bool], None]
    ) -> None:
        self._executor = executor
        self._pending = pending
        self._decision = decision
        self._ended = ended

    def told(self, verdict: Verdict | StoreUnavailable) -> None:
        self._executor.end(self._pending, self._decision, self._ended, verdict)


async def _stored_meanwhile(pending: Pending) -> None:
    """Wait for the verdict of a command that is being stored while it runs: its end depends on where its row is."""
    if pending.accepting is not None:
        await asyncio.wait((pending.accepting,))


def _finish(pending: Pending, decision: Decision) -> FinishCommand:
    return FinishCommand(
        pending.key if pending.durable else pending.new,
        CommandStatus.REJECTED if decision.error is not None else CommandStatus.EXECUTED,
        encode_outcome(decision.event_ids, decision.error),
        decision.version,
        decision.checks,
        decision.events,
        decision.closes,
        decision.states,
        pending.fence,
    )


def _receipt(pending: Pending, stage: Stage, error: FacadeError) -> Receipt:
    return Receipt(
        request_id=pending.key.request_id, stage=stage, aggregate_id=pending.aggregate.aggregate_id, error=error
    )


def begun(pending: Pending) -> NewCommand:
    """Return a command to be stored as one that was started once."""
    return replace(pending.new, attempts=1)
