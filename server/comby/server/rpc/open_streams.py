"""The streams that are open: how many on each connection, and how they end when the server stops."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from comby.server.application.errors import Overloaded, ShuttingDown
from comby.server.rpc.call import Call


class OpenStreams:
    """Counts streams, and ends them by a cancellation that the caller gets to know as SHUTTING_DOWN."""

    def __init__(self, per_connection: int) -> None:
        self._per_connection = per_connection
        self._counts: Counter[str] = Counter()
        self._tasks: dict[asyncio.Task[object], str] = {}
        self._ended: set[asyncio.Task[object]] = set()

    @contextmanager
    def entered(self, call: Call) -> Iterator[None]:
        """Count a stream while it is open. Raises Overloaded when its connection has too many, ShuttingDown when it was ended here."""
        task = asyncio.current_task()
        assert task is not None  # a call runs in a task of its own, whatever the transport
        if self._counts[call.connection] >= self._per_connection:
            raise Overloaded("streams_per_connection", self._per_connection)
        self._counts[call.connection] += 1
        self._tasks[task] = call.path
        try:
            yield
        except asyncio.CancelledError:
            if task not in self._ended:
                raise
            task.uncancel()
            raise ShuttingDown from None
        finally:
            del self._tasks[task]
            self._ended.discard(task)
            self._counts[call.connection] -= 1
            if not self._counts[call.connection]:
                del self._counts[call.connection]

    def end(self, chosen: Callable[[str], bool]) -> None:
        """End the streams whose path is chosen."""
        for task, path in list(self._tasks.items()):
            if chosen(path) and task not in self._ended:
                self._ended.add(task)
                task.cancel()
