"""What is stored of a command: shown, listed, waited for, retried and cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from comby.server.application.admission import Admission
from comby.server.application.command_bus import CommandBus, projected
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.errors import (
    CommandCancelled,
    CommandFinished,
    CommandNotFound,
    CommandNotParked,
    FacadeError,
    Unavailable,
)
from comby.server.application.event_codec import decode_context
from comby.server.application.limits import Limits
from comby.server.application.outcomes import Outcomes
from comby.server.application.ownership import Ownership
from comby.server.application.pending import Waiter, satisfies
from comby.server.application.receipts import encode_outcome, receipt_of
from comby.server.application.requests import (
    CommandListRequest,
    CommandPage,
    CommandView,
    Receipt,
    Stage,
)
from comby.server.application.tokens import (
    ConsistencyTokens,
    make_page_token,
    read_page_token,
)
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import CommandKey
from comby.server.ports.command_store import CommandFilter, CommandStatus, StoredCommand
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import (
    CancelCommand,
    CommandMoved,
    CommandNotOpen,
    RetryCommand,
    Verdict,
    Write,
)
from comby.server.ports.store import Store

Cover = Callable[[Receipt], Awaitable[None]]


class CommandRecords:
    """Reads the command store, and moves commands by the commit queue."""

    def __init__(
        self,
        store: Store,
        queue: CommitQueue,
        bus: CommandBus,
        admission: Admission,
        outcomes: Outcomes,
        tokens: ConsistencyTokens,
        limits: Limits,
        cover: Cover,
        ownership: Ownership,
    ) -> None:
        self._commands = store.commands
        self._queue = queue
        self._bus = bus
        self._admission = admission
        self._outcomes = outcomes
        self._tokens = tokens
        self._limits = limits
        self._cover = cover
        self._ownership = ownership

    async def get(self, key: CommandKey) -> CommandView:
        """Return a stored command. Raises CommandNotFound."""
        stored = await self._commands.get(key)
        if stored is None:
            raise CommandNotFound(key.request_id)
        return self._view(stored)

    async def list(self, request: CommandListRequest) -> CommandPage:
        """Return a page of stored commands, the last accepted first. Raises InvalidToken."""
        size = self._limits.page(request.page_size)
        scope = f"commands/{request.context.tenant_id}/{sorted(request.stages)}/{request.type}/{request.aggregate_id}"
        before = None
        if request.page_token:
            (value,) = read_page_token(scope, request.page_token, int)
            before = int(value)
        statuses = frozenset(
            status for status in CommandStatus if status.value in {stage.value for stage in request.stages}
        )
        if request.stages and not statuses:
            return CommandPage((), "")
        rows = await self._commands.list(
            CommandFilter(
                tenant_id=request.context.tenant_id,
                statuses=statuses,
                type=request.type,
                aggregate_id=request.aggregate_id,
                before_seq=before,
            ),
            limit=size + 1,
        )
        token = make_page_token(scope, rows[size - 1].accept_seq) if len(rows) > size else ""
        return CommandPage([self._view(stored) for stored in rows[:size]], token)

    async def wait(self, context: RequestContext, request_id: str, stage: Stage, timeout: float | None) -> Receipt:
        """Wait for a stage and return the one reached; also for a command that is yet to come. Raises CommandNotFound
        when none has."""
        key = CommandKey(context.tenant_id, request_id)
        longest = self._limits.longest_wait
        seconds = longest if timeout is None else min(timeout, longest)
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        waiter = Waiter(stage, future)
        self._outcomes.add(key, waiter)
        try:
            async with asyncio.timeout(seconds):
                return await self._wait(key, stage, future)
        except TimeoutError:
            stored = await self._commands.get(key)
            if stored is None:
                raise CommandNotFound(request_id) from None
            return receipt_of(stored, self._tokens)
        finally:
            self._outcomes.remove(key, waiter)

    async def _wait(self, key: CommandKey, stage: Stage, future: asyncio.Future[Receipt]) -> Receipt:
        stored = await self._commands.get(key)
        if stored is not None:
            receipt = receipt_of(stored, self._tokens)
            if receipt.stage is Stage.EXECUTED and self._bus.holds(key):
                return await future  # its commit is about to be told here, and what it wrote to be remembered
            if satisfies(receipt.stage, stage):
                return receipt
            if receipt.stage is Stage.EXECUTED:
                await self._cover(receipt)
                return projected(receipt)
        return await future

    async def retry(self, key: CommandKey) -> CommandView:
        """Queue a parked command again. Raises CommandNotFound or CommandNotParked."""
        verdict = await self._submit(RetryCommand(key=key), self._retried)
        if isinstance(verdict, CommandNotOpen):
            if verdict.stored is None:
                raise CommandNotFound(key.request_id)
            raise CommandNotParked(key.request_id, verdict.stored.status.value)
        assert isinstance(verdict, CommandMoved)
        return self._view(verdict.stored)

    def _retried(self, stored: StoredCommand) -> None:
        self._bus.in_flight.open.reopen(stored.key.tenant_id)
        try:
            pending = self._admission.readmit(stored, decode_context(stored.context))
        except FacadeError:
            return
        if not self._bus.in_flight.overflow and self._ownership.owns(stored.partition):
            self._bus.take_in(pending)

    async def cancel(self, key: CommandKey) -> CommandView:
        """Give up a command. Raises CommandNotFound or CommandFinished."""
        outcome = encode_outcome((), CommandCancelled(key.request_id))
        verdict = await self._submit(CancelCommand(key=key, outcome=outcome), self._cancelled)
        if isinstance(verdict, CommandNotOpen):
            if verdict.stored is None:
                raise CommandNotFound(key.request_id)
            raise CommandFinished(key.request_id, verdict.stored.status.value)
        assert isinstance(verdict, CommandMoved)
        return self._view(verdict.stored)

    def _cancelled(self, stored: StoredCommand) -> None:
        self._outcomes.reached(stored.key, receipt_of(stored, self._tokens))
        was_open = stored.attempts == 0  # else it was parked
        if was_open and not self._bus.holds(stored.key):
            self._bus.in_flight.open.close_stored(stored.key.tenant_id)

    async def _submit(self, write: Write, moved: Callable[[StoredCommand], None]) -> Verdict:
        """Have a command moved; `moved` is called once it is, also when the caller does not wait for it any more."""
        verdict = self._queue.submit(write)
        verdict.add_done_callback(partial(_tell_moved, moved))
        self._bus.in_flight.expect_move(verdict)
        try:
            return await asyncio.shield(verdict)
        except StoreUnavailable:
            raise Unavailable from None

    def _view(self, stored: StoredCommand) -> CommandView:
        return CommandView(stored, receipt_of(stored, self._tokens))


def _tell_moved(moved: Callable[[StoredCommand], None], verdict: asyncio.Future[Verdict]) -> None:
    if verdict.exception() is None and isinstance(told := verdict.result(), CommandMoved):
        moved(told.stored)
