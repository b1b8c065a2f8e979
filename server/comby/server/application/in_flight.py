"""The commands that are in this process: from their admission until they are settled, or left to the store."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from comby.server.application.limits import Limits
from comby.server.application.open_commands import OpenCommands
from comby.server.application.outcomes import Outcomes
from comby.server.application.pending import Pending
from comby.server.domain.identity import CommandKey
from comby.server.ports.event_store import Verdict

COUNTS = 3
"""How often the store's open commands are counted at once where they do not stand still."""


@dataclass(slots=True)
class Movements:
    """What became of commands while the store was read: a row may be older than that. `put_aside` tells that one was
    left to the store since."""

    left: set[CommandKey] = field(default_factory=set)
    put_aside: bool = False


class InFlight:
    """All of them by key, and whether the store has more than there is room for here.

    `overflow` tells that new commands have to wait in the store, and `crowded` that no room was found for those that do; `on_room` is called
    when some may be taken in.
    """

    def __init__(self, outcomes: Outcomes, limits: Limits) -> None:
        self._outcomes = outcomes
        self._limits = limits
        self._commands: dict[CommandKey, Pending] = {}
        self._movements: Movements | None = None
        self._exact = False
        self._expected: set[asyncio.Future[Verdict]] = set()
        self.forwarded = 0
        """How many of them wait for the answer of another instance, which executes them."""
        self.open = OpenCommands(limits)
        self.overflow = False
        self.crowded = False
        self.on_room: Callable[[], None] = lambda: None

    def __len__(self) -> int:
        """Count those that are to be executed here: only these take room."""
        return len(self._commands) - self.forwarded

    def __iter__(self) -> Iterator[Pending]:
        return iter(list(self._commands.values()))

    async def count(self, count_open: Callable[[], Awaitable[Mapping[str, int]]], *, alone: bool) -> None:
        """Count the open commands of the store anew: once more where commands have moved meanwhile, but not for ever.

        `alone` tells that nobody else takes commands. Then what has come and gone here is exact once a count was made with nothing in
        hand, and no count that was made under way replaces it: the store may have ended a command that is still here, or the reverse.
        """
        for _ in range(COUNTS):
            moves = self.open.moves
            counted = await count_open()
            if moves == self.open.moves:
                break
        at_rest = moves == self.open.moves and not self._commands and not self._expected
        if alone and self._exact and not at_rest:
            return
        self._exact = alone and at_rest
        self.open.refresh(counted, Counter(one.key.tenant_id for one in self._commands.values() if one.durable))

    def get(self, key: CommandKey) -> Pending | None:
        """Return a command that is here."""
        return self._commands.get(key)

    def has(self, pending: Pending) -> bool:
        """Tell whether this very command is here."""
        return self._commands.get(pending.key) is pending

    def add(self, pending: Pending) -> None:
        """Take a command in that was counted when it was admitted."""
        self._commands[pending.key] = pending

    def claim(self, pending: Pending) -> bool:
        """Take a command in from the store, unless it is here."""
        if pending.key in self._commands:
            return False
        self.open.claim(pending.key.tenant_id)
        self._commands[pending.key] = pending
        return True

    def expect_move(self, verdict: asyncio.Future[Verdict]) -> None:
        """Note that the store may be moving a command that is not here, until whoever counts that has been told."""
        self._expected.add(verdict)
        verdict.add_done_callback(self._expected.discard)

    def leave(self, pending: Pending) -> None:
        """Let a command go that is settled."""
        if self.has(pending):
            del self._commands[pending.key]
        self.open.close(pending.key.tenant_id)
        pending.settle()
        if self._movements is not None:
            self._movements.left.add(pending.key)
        self.tell_room()

    def put_aside(self, pending: Pending) -> None:
        """Leave a stored command to the store."""
        if self._commands.pop(pending.key, None) is not None:
            self.open.leave(pending.key.tenant_id)
        self.hand_over(pending)

    def put_aside_for_room(self, pending: Pending) -> None:
        """Leave a stored command to the store because there is no room, and all that come after it."""
        self.overflow = True
        if self._movements is not None:
            self._movements.put_aside = True
        self.put_aside(pending)
        self.tell_room()

    def hand_over(self, pending: Pending) -> None:
        """Let those who still wait for a stored command do so by its key alone."""
        pending.stored()
        for waiter in pending.waiters:
            if not waiter.reply.done():
                self._outcomes.add(pending.key, waiter)
        pending.waiters = []

    def tell_room(self) -> None:
        """Have stored commands claimed, where some wait for room and there is much of it."""
        if (self.overflow or self.crowded) and len(self) < max(1, self._limits.claimed_commands // 2):
            self.on_room()

    @contextmanager
    def noting_movements(self) -> Iterator[Movements]:
        """Note what becomes of commands meanwhile."""
        self._movements = Movements()
        try:
            yield self._movements
        finally:
            self._movements = None
