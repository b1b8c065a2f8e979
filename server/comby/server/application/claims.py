"""Claims: takes stored commands of the partitions that are owned into this process: after a start or a takeover, when another instance
has accepted some, when there is room again, and when a scheduled one is due.

The keys of open commands are always read from the first, in the order of acceptance, and never after a cursor; so none is skipped. What is
not here is then read whole.
"""

import asyncio
import time
from collections.abc import Collection

import structlog

from comby.server.application.admission import Admission
from comby.server.application.command_bus import CommandBus
from comby.server.application.errors import FacadeError
from comby.server.application.event_codec import decode_context
from comby.server.application.limits import Limits
from comby.server.application.ownership import Ownership
from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import CommandStatus, CommandStore, StoredCommand
from comby.server.ports.errors import StoreUnavailable

_log = structlog.get_logger("comby.claims")
RETRY_SECONDS = 1.0
"""Between tries while the store is away."""
STUCK_SECONDS = 1.0
"""Between looks at commands that can not be read: somebody may cancel them, here or elsewhere."""
LONGEST_SLEEP = 60.0
"""The longest wait for a scheduled command; clocks may be set."""
FORGET_SECONDS = 60.0
"""Between rounds that drop the payloads of old commands."""
FORGET_ROWS = 1_000


class Claims:
    """Run `run` and `forget_old` as tasks."""

    def __init__(
        self, commands: CommandStore, bus: CommandBus, admission: Admission, limits: Limits, ownership: Ownership
    ) -> None:
        self._commands = commands
        self._bus = bus
        self._admission = admission
        self._limits = limits
        self._wanted = asyncio.Event()
        self._ownership = ownership
        self._unreadable: dict[CommandKey, AggregateKey] = {}
        self._held_up: set[AggregateKey] = set()
        """Their aggregates, where several instances keep the order of an aggregate."""
        self._stuck: dict[CommandKey, AggregateKey] = {}
        """Commands behind them."""
        bus.in_flight.on_room = self._wanted.set
        bus.acceptance.on_scheduled = lambda due: self._wanted.set()

    async def recover(self) -> None:
        """Take in what was open when the process started; those that were begun before may be what it ended of."""
        await self._bus.in_flight.count(self._commands.count_open, alone=self._ownership.partitions is None)
        await self._claim(suspect=True)
        self._wanted.set()

    def want(self) -> None:
        """Claim soon: the store may have commands for this process."""
        self._wanted.set()

    async def run(self) -> None:
        """Claim whenever there is room or something is due."""
        while True:
            await self._sleep()
            self._wanted.clear()
            try:
                await self._claim(suspect=False)
            except StoreUnavailable:
                await asyncio.sleep(RETRY_SECONDS)
                self._wanted.set()

    async def forget_old(self) -> None:
        """Drop the payloads of commands that finished before the idempotency window, a few at a time."""
        while True:
            before = now_micros() - int(self._limits.idempotency_window * 1_000_000)
            try:
                dropped = await self._commands.forget(finished_before=before, limit=FORGET_ROWS)
            except StoreUnavailable:
                dropped = 0
            if dropped < FORGET_ROWS:
                await asyncio.sleep(FORGET_SECONDS)

    async def _sleep(self) -> None:
        """Wait until a claim is wanted, or the next scheduled command is due."""
        try:
            due = await self._commands.next_due(after=now_micros(), partitions=self._ownership.partitions)
        except StoreUnavailable:
            due = now_micros() + int(RETRY_SECONDS * 1_000_000)
        seconds = STUCK_SECONDS if self._stuck else LONGEST_SLEEP
        if due is not None:
            seconds = min(seconds, max(0.0, (due - now_micros()) / 1_000_000) + 0.001)
        try:
            async with asyncio.timeout(seconds):  # wait_for of Python 3.11 can swallow a cancellation
                await self._wanted.wait()
        except TimeoutError:
            self._wanted.set()

    async def _claim(self, *, suspect: bool) -> None:
        in_flight = self._bus.in_flight
        room = self._limits.claimed_commands - len(in_flight)
        in_flight.crowded = room <= 0
        if in_flight.crowded:
            return
        most = self._limits.claimed_commands + len(in_flight) + len(self._unreadable) + len(self._stuck)
        with in_flight.noting_movements() as movements:
            keys = await self._commands.open_keys(due=now_micros(), limit=most, partitions=self._ownership.partitions)
            self._forget_unreadable(keys)
            missing = [key for key in keys if not self._known(key)]
            rows = await self._commands.get_many(missing[:room]) if missing else {}
        for stored in sorted(rows.values(), key=lambda one: one.accept_seq):
            if stored.status is not CommandStatus.ACCEPTED or self._known(stored.key) or stored.key in movements.left:
                continue
            if not self._ownership.owns(stored.partition):  # lost while the store was read
                continue
            begun = stored.attempts > 0
            self._take(stored, suspect=begun and (suspect or self._ownership.suspicious(stored.partition)))
        more = len(missing) > room or len(keys) >= most
        in_flight.overflow = movements.put_aside or more
        if movements.put_aside or (more and len(in_flight) < self._limits.claimed_commands):
            self._wanted.set()

    def _known(self, key: CommandKey) -> bool:
        """Tell whether a command needs not be read: it is here, or stuck."""
        return self._bus.holds(key) or key in self._unreadable or key in self._stuck

    def _forget_unreadable(self, open: Collection[CommandKey]) -> None:
        """Forget those that are open no more, and let go what was behind them."""
        still = set(open) if self._unreadable else set[CommandKey]()
        self._unreadable = {key: aggregate for key, aggregate in self._unreadable.items() if key in still}
        self._held_up = set(self._unreadable.values()) if self._ownership.partitions is not None else set()
        self._stuck = {key: aggregate for key, aggregate in self._stuck.items() if aggregate in self._held_up}

    def _take(self, stored: StoredCommand, *, suspect: bool) -> None:
        """Take a command in, unless it can not be read, or comes after such a one."""
        if stored.aggregate in self._held_up:
            self._stuck[stored.key] = stored.aggregate
            return
        try:
            pending = self._admission.readmit(stored, decode_context(stored.context))
        except FacadeError:
            self._unreadable[stored.key] = stored.aggregate
            if self._ownership.partitions is not None:
                self._held_up.add(stored.aggregate)
            _log.error(
                "stored command can not be read by this contract", type=stored.type, request_id=stored.key.request_id
            )
            return
        pending.suspect = suspect
        self._bus.take_in(pending)


def now_micros() -> int:
    """Return the time in microseconds since 1970 in UTC."""
    return time.time_ns() // 1000
