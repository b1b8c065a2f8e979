"""The watchdog: a handler that never returns must not hold everybody's event loop.

A thread looks at how long the present handler has run. After `interrupt` seconds it raises HandlerInterrupted inside
it, by a signal, which works
only where the loop runs in the main thread. After `abort` seconds it ends the process; the command was counted
before, so it is parked in the end.
"""

import os
import signal
import threading
import time
from collections.abc import Awaitable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import structlog

_log = structlog.get_logger("comby.watchdog")
LOOK_SECONDS = 0.1
"""How often the thread looks."""
EXIT_CODE = 70
"""EX_SOFTWARE of sysexits.h."""
T = TypeVar("T")


class HandlerInterrupted(BaseException):
    """Raised once inside a handler that has held the event loop for too long. No `except Exception` of it stops this;
    one that catches it all the same, and goes on, ends with the process."""


class HandlerStuck(Exception):
    """A handler of an event or a query held the event loop for too long, and was interrupted."""


class Watchdog:
    """Watches one handler at a time, since only one holds the event loop."""

    def __init__(self, *, interrupt: float, abort: float) -> None:
        self._interrupt = interrupt
        self._abort = abort
        self._since: float | None = None
        self._interrupted = False
        self._label = ""
        self._stop = threading.Event()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the thread, and the signal's handler where it is possible."""
        main = threading.current_thread() is threading.main_thread()
        before = signal.signal(signal.SIGUSR2, self._on_signal) if main else None
        thread = threading.Thread(target=self._look, args=(main,), name="comby-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            if main:
                signal.signal(signal.SIGUSR2, before)

    def enter(self, label: str) -> None:
        """Begin to watch a handler; `label` is its command's identifier."""
        self._label = label
        self._interrupted = False
        self._since = time.monotonic()

    def leave(self) -> None:
        """The handler has given the event loop back."""
        self._since = None

    def watched(self, label: str, awaitable: Awaitable[T]) -> "Watched[T]":
        """Watch each step of an async handler."""
        return Watched(self, label, awaitable)

    async def guard(self, label: str, awaitable: Awaitable[T]) -> T:
        """Watch a handler of an event or a query. Raises HandlerStuck when it was interrupted."""
        try:
            return await self.watched(label, awaitable)
        except HandlerInterrupted:
            raise HandlerStuck(label) from None

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        due = self._since is not None and time.monotonic() - self._since >= self._interrupt
        if due and not self._interrupted:
            self._interrupted = True
            raise HandlerInterrupted

    def _look(self, can_interrupt: bool) -> None:
        main = threading.main_thread().ident
        while not self._stop.wait(LOOK_SECONDS):
            since = self._since
            if since is None:
                continue
            held = time.monotonic() - since
            if held >= self._abort:
                _log.critical("handler can not be interrupted; the process ends", command=self._label)
                os._exit(EXIT_CODE)
            if held >= self._interrupt and can_interrupt and not self._interrupted and main is not None:
                signal.pthread_kill(main, signal.SIGUSR2)


class Watched(Awaitable[T]):
    """An awaitable whose every step is watched."""

    def __init__(self, watchdog: Watchdog, label: str, awaitable: Awaitable[T]) -> None:
        self._watchdog = watchdog
        self._label = label
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._awaitable.__await__()
        sent: Any = None
        raised: BaseException | None = None
        while True:
            self._watchdog.enter(self._label)
            try:
                waits_for = steps.send(sent) if raised is None else steps.throw(raised)
            except StopIteration as stop:
                result: T = stop.value
                return result
            finally:
                self._watchdog.leave()
            raised = None
            try:
                sent = yield waits_for
            except BaseException as error:  # what is thrown into us belongs into the handler
                raised = error
