"""Lanes: the commands of one aggregate, one at a time and in order; different aggregates run side by side."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from comby.server.application.pending import Pending
from comby.server.domain.identity import AggregateKey

DRAIN_SECONDS = 0.005
"""How often commands that were begun at once are looked at while the process drains."""


@dataclass(slots=True)
class Lane:
    """One aggregate's queue. `accepting` counts its commands that are being stored; `running` is the one in hand."""

    queue: deque[Pending] = field(default_factory=deque)
    accepting: int = 0
    durable: int = 0
    running: Pending | None = None
    task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Tell whether nothing is left of the lane."""
        return self.running is None and not self.queue and not self.accepting

    def put(self, pending: Pending) -> None:
        """Queue a command. Stored ones stand in the order of acceptance, before those that are not stored.

        Another instance may have accepted some of them, which come here later than what was accepted after them. At the tail they would
        send each command before them back to the store, for as long as new ones arrive.
        """
        place = len(self.queue)
        if pending.durable:
            while place and not _comes_before(self.queue[place - 1], pending):
                place -= 1
        self.queue.insert(place, pending)
        self.count(pending)

    def count(self, pending: Pending) -> None:
        """Count a stored command that is to be executed."""
        pending.counted = pending.durable
        self.durable += pending.counted

    def discount(self, pending: Pending) -> None:
        """Count it no longer; one that was stored only meanwhile was not counted."""
        self.durable -= pending.counted
        pending.counted = False


class Lanes:
    """All lanes. `execute` carries one command to its end; its lane waits for it, the commit included.

    `begin` may take a command of an idle lane at once, without a task; it then says when it has ended, and whether
    `execute` has to go on with it. A lane is made only when something has to wait.
    """

    def __init__(
        self,
        execute: Callable[[Pending], Awaitable[None]],
        begin: Callable[[Pending, Callable[[Pending, bool], None]], bool],
    ) -> None:
        self._execute = execute
        self._begin = begin
        self._begun: dict[AggregateKey, Pending] = {}
        self._lanes: dict[AggregateKey, Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def backlog(self, key: AggregateKey) -> bool:
        """Tell whether an aggregate has stored commands that are not executed yet: a waited one must not overtake
        them."""
        lane = self._lanes.get(key)
        return lane is not None and (lane.accepting > 0 or lane.durable > 0)

    def running(self, pending: Pending) -> bool:
        """Tell whether a command is the one in hand of its aggregate."""
        if self._begun.get(pending.aggregate) is pending:
            return True
        lane = self._lanes.get(pending.aggregate)
        return lane is not None and lane.running is pending

    def enqueue(self, pending: Pending) -> bool:
        """Put a command at the tail of its lane, but a stored one before those that were accepted after it or are not stored.

        Tell whether it has begun at once.
        """
        key = pending.aggregate
        lane = self._lanes.get(key)
        if lane is None and key not in self._begun:
            self._begun[key] = pending
            begun = False
            try:
                begun = self._begin(pending, self._ended)
            finally:
                if not begun:
                    del self._begun[key]
            if begun:
                return True
        if lane is None:
            lane = self._lanes[key] = Lane()
        lane.put(pending)
        self._go_on(key, lane)
        return False

    def _ended(self, pending: Pending, again: bool) -> None:
        """Go on with a lane whose command was begun at once."""
        key = pending.aggregate
        del self._begun[key]
        lane = self._lanes.get(key)
        if again:
            if lane is None:
                lane = self._lanes[key] = Lane()
            lane.queue.appendleft(pending)
            lane.count(pending)
        if lane is not None and lane.queue:
            self._go_on(key, lane)
        elif lane is not None:
            self._drop_if_idle(key, lane)

    def _go_on(self, key: AggregateKey, lane: Lane) -> None:
        if lane.task is None and key not in self._begun:
            lane.task = asyncio.get_running_loop().create_task(self._run(key, lane))
            self._tasks.add(lane.task)
            lane.task.add_done_callback(self._tasks.discard)

    def begin_accept(self, key: AggregateKey) -> None:
        """Note that a command of the aggregate is being stored: nothing may overtake it."""
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
        lane.accepting += 1

    def end_accept(self, key: AggregateKey) -> None:
        """Note that it is stored, or refused."""
        lane = self._lanes[key]
        lane.accepting -= 1
        self._drop_if_idle(key, lane)

    def take_transient(self, key: AggregateKey) -> list[Pending]:
        """Take the commands that are not stored out of the aggregate's queue, in order, so that they can be stored."""
        lane = self._lanes.get(key)
        if lane is None or not lane.queue:
            return []
        taken = [pending for pending in lane.queue if pending.transient]
        if taken:
            lane.queue = deque(pending for pending in lane.queue if not pending.transient)
        return taken

    def take_queued(self, partitions: Collection[int]) -> list[Pending]:
        """Take the commands of some partitions that have not begun out of their lanes, in order."""
        taken: list[Pending] = []
        for key, lane in list(self._lanes.items()):
            if lane.queue and lane.queue[0].new.partition in partitions:
                taken += lane.queue
                for pending in lane.queue:
                    lane.discount(pending)
                lane.queue.clear()
                self._drop_if_idle(key, lane)
        return taken

    def in_hand(self, key: AggregateKey) -> Pending | None:
        """Return the command of an aggregate that has begun, if there is one."""
        lane = self._lanes.get(key)
        return self._begun.get(key) or (lane.running if lane is not None else None)

    async def drained_of(self, partitions: Collection[int]) -> None:
        """Wait until no command of some partitions runs."""
        while True:
            if not self._runs_one_of(partitions):
                return
            await asyncio.sleep(DRAIN_SECONDS)

    def _runs_one_of(self, partitions: Collection[int]) -> bool:
        running = [lane.running for lane in self._lanes.values() if lane.running is not None]
        return any(one.new.partition in partitions for one in (*running, *self._begun.values()))

    async def stop(self) -> None:
        """Cancel what runs; stored commands go on after the next start."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def drained(self) -> None:
        """Wait until no lane runs."""
        while self._tasks or self._begun:
            if self._tasks:
                await asyncio.wait(list(self._tasks))
            else:
                await asyncio.sleep(DRAIN_SECONDS)

    async def _run(self, key: AggregateKey, lane: Lane) -> None:
        try:
            while lane.queue:
                pending = lane.queue.popleft()
                lane.running = pending
                await self._execute(pending)
                lane.discount(pending)
                lane.running = None
        finally:
            lane.task = None
            self._drop_if_idle(key, lane)

    def _drop_if_idle(self, key: AggregateKey, lane: Lane) -> None:
        if lane.idle and lane.task is None:
            self._lanes.pop(key, None)


def _comes_before(queued: Pending, pending: Pending) -> bool:
    return queued.durable and queued.accept_seq < pending.accept_seq
