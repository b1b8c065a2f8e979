"""Lets many run together, or one alone: a command that may have ended the process more than once runs alone, so that no other is
blamed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Isolation:
    """A lock that is shared by most and exclusive for some; those who want it alone go first."""

    def __init__(self) -> None:
        self._shared = 0
        self._alone = False
        self._waiting_alone = 0
        self._changed = asyncio.Condition()

    @property
    def quiet(self) -> bool:
        """Tell whether nobody is alone or wants to be: sharing then needs no wait."""
        return not self._alone and not self._waiting_alone

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Run beside others."""
        if not self.quiet:
            async with self._changed:
                await self._changed.wait_for(lambda: self.quiet)
        self._shared += 1
        try:
            yield
        finally:
            self._shared -= 1
            if self._waiting_alone and not self._shared:
                async with self._changed:
                    self._changed.notify_all()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run with nobody beside."""
        self._waiting_alone += 1
        async with self._changed:
            await self._changed.wait_for(lambda: not self._shared and not self._alone)
            self._alone = True
            self._waiting_alone -= 1
        try:
            yield
        finally:
            self._alone = False
            async with self._changed:
                self._changed.notify_all()
