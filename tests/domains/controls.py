"""How a test reaches into handlers: gates at which they wait, faults that they meet, and a trace of what was called."""

import asyncio
from collections import defaultdict


class Gate:
    """A place at which handlers wait until the test opens it."""

    def __init__(self) -> None:
        self.passed = asyncio.Event()
        self.arrivals = 0
        self._arrived = asyncio.Condition()

    async def arrive(self) -> None:
        """Come to the gate, and wait until it is open."""
        async with self._arrived:
            self.arrivals += 1
            self._arrived.notify_all()
        await self.passed.wait()

    async def reached(self, times: int = 1) -> None:
        """Wait until handlers have come here so many times."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: self.arrivals >= times)

    def open(self) -> None:
        """Let everybody through, now and later."""
        self.passed.set()


class Controls:
    """Shared by a test and the handlers of its app, in one process."""

    def __init__(self) -> None:
        self.gates: defaultdict[str, Gate] = defaultdict(Gate)
        self.faults: set[str] = set()
        self.trace: list[str] = []
        self._traced = asyncio.Condition()

    def gate(self, name: str) -> Gate:
        """Return the gate of a name; it is made closed."""
        return self.gates[name]

    def meet(self, fault: str) -> None:
        """Raise where the test has set this fault."""
        if fault in self.faults:
            raise RuntimeError(f"the test wants {fault} to fail")

    async def note(self, what: str) -> None:
        """Add a line to the trace."""
        async with self._traced:
            self.trace.append(what)
            self._traced.notify_all()

    async def noted(self, what: str, times: int = 1) -> None:
        """Wait until a line stands in the trace so many times."""
        async with self._traced:
            await self._traced.wait_for(lambda: self.trace.count(what) >= times)
