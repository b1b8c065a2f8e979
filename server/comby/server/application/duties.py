"""Duties: what one instance at a time does for all: running projections and reactors, and relaying events to a broker."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from comby.server.application import incidents
from comby.server.ports.errors import StoreUnavailable

LOOK_SECONDS = 1.0
"""How often the store is looked at although nothing has changed here: another instance may have begun a rebuild."""


class Duties:
    """Brings what runs in line with what is owned; run `run` as a task. Each of `reconcilers` begins and ends what it must."""

    def __init__(self, reconcilers: Sequence[Callable[[], Awaitable[None]]]) -> None:
        self._reconcilers = [*reconcilers]
        self._changed = asyncio.Event()

    def add(self, reconcile: Callable[[], Awaitable[None]]) -> None:
        """Add something that begins and ends."""
        self._reconcilers.append(reconcile)

    def wake(self) -> None:
        """Look at once: ownership has changed."""
        self._changed.set()

    async def reconcile(self) -> None:
        """Begin and end what must be. Raises StoreUnavailable."""
        for reconcile in self._reconcilers:
            await reconcile()

    async def run(self) -> None:
        """Reconcile until cancelled."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            try:
                await self.reconcile()
            except StoreUnavailable:
                continue
            except Exception as error:
                incidents.report("duties failed", error)
