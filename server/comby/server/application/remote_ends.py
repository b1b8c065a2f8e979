"""The ends of commands that other instances execute: looked up in the store for those who wait here.

Announcements say when to look; a look every now and then makes good for those that are lost.
"""

import asyncio
from collections.abc import Awaitable, Callable

from comby.server.application.command_bus import CommandBus, projected
from comby.server.application.outcomes import Outcomes
from comby.server.application.pending import Waiter
from comby.server.application.receipts import receipt_of
from comby.server.application.requests import Receipt, Stage
from comby.server.application.tokens import ConsistencyTokens
from comby.server.domain.identity import CommandKey
from comby.server.ports.command_store import CommandStore
from comby.server.ports.errors import StoreUnavailable

POLL_SECONDS = 0.5
"""How often the store is asked although nothing was announced."""
PAUSE_SECONDS = 0.005
"""Between two looks, so that a busy log does not ask for every batch."""
LOOKED_UP = 1_000
"""Commands that are looked up at once."""


class RemoteEnds:
    """Run `run` as a task; `look` whenever commands may have ended elsewhere."""

    def __init__(
        self,
        commands: CommandStore,
        bus: CommandBus,
        outcomes: Outcomes,
        tokens: ConsistencyTokens,
        cover: Callable[[Receipt], Awaitable[None]],
    ) -> None:
        self._commands = commands
        self._bus = bus
        self._outcomes = outcomes
        self._tokens = tokens
        self._cover = cover
        self._wanted = asyncio.Event()
        self._covering: set[asyncio.Task[None]] = set()

    def look(self) -> None:
        """Look soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()
            try:
                await self._look()
            except StoreUnavailable:
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self) -> None:
        waited = [key for key in self._outcomes.waited() if not self._bus.holds(key)]
        for start in range(0, len(waited), LOOKED_UP):
            ended = await self._commands.ended(waited[start : start + LOOKED_UP])
            if ended:
                for key, stored in (await self._commands.get_many(ended)).items():
                    self._tell(key, receipt_of(stored, self._tokens))

    def _tell(self, key: CommandKey, receipt: Receipt) -> None:
        waiters = self._outcomes.take(key)
        still = [waiter for waiter in waiters if not waiter.reached(receipt)]
        if still and receipt.stage is Stage.EXECUTED:
            task = asyncio.get_running_loop().create_task(self._project(still, receipt))
            self._covering.add(task)
            task.add_done_callback(self._covering.discard)

    async def _project(self, waiters: list[Waiter], receipt: Receipt) -> None:
        try:
            await self._cover(receipt)
        except StoreUnavailable:  # whoever waits is told in the end that the command is executed
            return
        for waiter in waiters:
            waiter.reached(projected(receipt))
