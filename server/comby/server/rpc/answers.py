"""The answers of a stream on which many requests are in flight: each goes back as soon as it is known, with others in a message."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Coroutine

from comby.server.rpc.packing import next_message
from comby.server.rpc.wire import length_delimited


class Answers:
    """What came in and has no answer yet is counted; what is answered waits to be sent, as elements of a field of the response."""

    def __init__(self, field: int) -> None:
        self._field = field
        self.in_flight = 0
        """Requests without an answer, and answers that are not sent."""
        self._ready: deque[bytes] = deque()
        self._ended = False
        self._changed = asyncio.Event()
        self._sent = asyncio.Event()

    async def messages(self, reading: Coroutine[None, None, None]) -> AsyncGenerator[bytes, None]:
        """Yield every message, while `reading` takes in requests and calls `end` after them. Raises what it raised, after all answers."""
        reader = asyncio.create_task(reading)
        try:
            while message := await self.message():
                yield message
            await reader
        finally:
            reader.cancel()

    async def message(self) -> bytes:
        """Return the next message: all answers that are known, but not too many; empty when everything is answered."""
        while not self._ready:
            if self._ended and not self.in_flight:
                return b""
            self._changed.clear()
            await self._changed.wait()
        packed = next_message(self._ready)
        self.in_flight -= len(packed)
        self._sent.set()
        return b"".join(packed)

    async def sent(self) -> None:
        """Wait until a message more is on its way."""
        self._sent.clear()
        await self._sent.wait()

    def begin(self) -> None:
        """Count a request that has come in: it will be answered."""
        self.in_flight += 1

    def put(self, answer: bytes) -> None:
        """Send the encoded answer of a request that has begun."""
        if not self._ready:
            self._changed.set()
        self._ready.append(length_delimited(self._field, answer))

    def end(self) -> None:
        """Tell that no more requests come in."""
        self._ended = True
        self._changed.set()
