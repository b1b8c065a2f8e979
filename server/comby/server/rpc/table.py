"""The table: every method by its full path, and what happens around each call, whatever carries it.

Around each call: the bounds of what may be open at once, the metadata, the deadline, and the end in a typed status. A handler gets raw
bytes and a Call and raises what it likes; a transport gets bytes, CallFailed, or the cancellation that it asked for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import TypeAlias

from comby.server.application.errors import Overloaded, ShuttingDown
from comby.server.application.limits import Limits
from comby.server.rpc.call import Call, bounded
from comby.server.rpc.errors import CallFailed, DeadlineExceeded, UnknownMethod
from comby.server.rpc.failures import failure, refusal
from comby.server.rpc.metadata import Keys
from comby.server.rpc.open_streams import OpenStreams

ANSWER_MARGIN = 0.05
"""Seconds of a deadline, but at most a tenth of it, that are kept for the way of a typed DEADLINE_EXCEEDED back to the caller."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unary:
    """A method with one request and one answer. One that `waits` ends its wait itself, before the call's deadline."""

    path: str
    handler: Callable[[bytes, Call], Awaitable[bytes]]
    keys: Keys = Keys.COMMON
    waits: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """A method with one request and a stream of answers."""

    path: str
    handler: Callable[[bytes, Call], AsyncGenerator[bytes, None]]
    keys: Keys = Keys.COMMON


@dataclass(frozen=True, slots=True, kw_only=True)
class Bidirectional:
    """A method with a stream of requests and one of answers."""

    path: str
    handler: Callable[[AsyncIterator[bytes], Call], AsyncGenerator[bytes, None]]
    keys: Keys = Keys.COMMON


Method: TypeAlias = Unary | Streaming | Bidirectional


class Table:
    """All methods that are served, and the bounds that they share."""

    def __init__(self, methods: Iterable[Method], limits: Limits) -> None:
        self.methods: Mapping[str, Method] = {method.path: method for method in methods}
        self._limits = limits
        self._pending = 0
        self._streams = OpenStreams(limits.streams_per_connection)
        self._released: asyncio.Event | None = None

    async def answer(self, method: Unary, raw: bytes, call: Call) -> bytes:
        """Answer a call. Raises CallFailed."""
        self._pending += 1
        try:
            if self._released is not None:
                await self._released.wait()
                raise ShuttingDown
            if self._pending > self._limits.pending_calls:
                raise Overloaded("pending_calls", self._limits.pending_calls)
            call.read(method.keys)
            bounded(raw, self._limits.message_bytes)
            if call.deadline is None or method.waits:
                answer = await method.handler(raw, call)
            else:
                answer = await _in_time(method, raw, call, call.deadline)
            return bounded(answer, self._limits.message_bytes)
        except (Exception, asyncio.CancelledError) as error:
            raise failure(call, error) from None
        finally:
            self._pending -= 1

    def stream(self, method: Streaming, raw: bytes, call: Call) -> AsyncGenerator[bytes, None]:
        """Answer a call with a stream, which raises CallFailed."""
        return self._relay(method, call, lambda: method.handler(bounded(raw, self._limits.message_bytes), call))

    def converse(
        self, method: Bidirectional, messages: AsyncIterator[bytes], call: Call
    ) -> AsyncGenerator[bytes, None]:
        """Answer a stream with a stream, which raises CallFailed."""
        return self._relay(method, call, lambda: method.handler(self._bounded(messages), call))

    def unknown(self, call: Call) -> CallFailed:
        """Return how a call to a method ends that is not in the table."""
        return refusal(call, UnknownMethod(call.path))

    def hold(self) -> None:
        """Let calls that come from now on wait for `release`, and then be refused.

        A caller who is refused at once comes again at once, and is CANCELLED if the transport has just closed.
        """
        self._released = asyncio.Event()

    def release(self) -> None:
        """Refuse the calls that were held: callers get SHUTTING_DOWN."""
        if self._released is not None:
            self._released.set()

    def end_queries(self) -> None:
        """End all live queries: callers get SHUTTING_DOWN. Subscriptions say goodbye, and pipelines finish."""
        self._streams.end(lambda path: self.methods[path].keys is Keys.QUERY)

    def end_streams(self) -> None:
        """End all streams that are still open: callers get SHUTTING_DOWN."""
        self._streams.end(lambda path: True)

    async def _relay(
        self, method: Method, call: Call, open: Callable[[], AsyncGenerator[bytes, None]]
    ) -> AsyncGenerator[bytes, None]:
        try:
            with self._streams.entered(call):
                call.read(method.keys)
                async with aclosing(open()) as answers:
                    async for answer in answers:
                        yield bounded(answer, self._limits.message_bytes)
        except (Exception, asyncio.CancelledError) as error:
            raise failure(call, error) from None

    async def _bounded(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for raw in messages:
            yield bounded(raw, self._limits.message_bytes)


async def _in_time(method: Unary, raw: bytes, call: Call, deadline: float) -> bytes:
    scope = asyncio.timeout(deadline - min(ANSWER_MARGIN, deadline / 10))
    try:
        async with scope:
            return await method.handler(raw, call)
    except TimeoutError:
        if scope.expired():
            raise DeadlineExceeded from None
        raise
