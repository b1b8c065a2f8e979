"""Middleware: what stands around every command, query or event, such as a check or a measurement.

The first one registered is the outermost. A command's middleware runs inside the command's attempt, so it may run
several times.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, runtime_checkable

from google.protobuf.message import Message

from comby.server.domain.context import Execution, RequestContext
from comby.server.domain.recorded import Recorded


@runtime_checkable
class CommandMiddleware(Protocol):
    """Stands around the handler of every command. It may raise Rejected."""

    async def on_command(self, command: Message, execution: Execution, proceed: Callable[[], Awaitable[None]]) -> None:
        """Call `proceed` once, or raise Rejected."""
        ...


@runtime_checkable
class QueryMiddleware(Protocol):
    """Stands around the handler of every query with one answer."""

    async def on_query(
        self, query: Message, request: RequestContext, proceed: Callable[[], Awaitable[Message]]
    ) -> Message:
        """Return the answer of `proceed`, or raise Rejected."""
        ...


@runtime_checkable
class EventMiddleware(Protocol):
    """Stands around every handler of an event: of projections and reactors. `consumer` is the handler's declared
    name."""

    async def on_event(self, recorded: Recorded[Any], consumer: str, proceed: Callable[[], Awaitable[None]]) -> None:
        """Call `proceed` once, or raise, which makes the event be handled again."""
        ...
