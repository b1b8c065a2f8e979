"""A thread that owns one connection and does its jobs one after the other."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Thread
from typing import TypeAlias, TypeVar

from comby.server.ports.errors import StoreUnavailable
from comby.server.stores.sqlite.failures import translated

log = logging.getLogger("comby.store")

ResultT = TypeVar("ResultT")
Job: TypeAlias = Callable[[], None]


@contextmanager
def working(name: str) -> Iterator["Worker"]:
    """Run a worker; at the end, what waits is finished and the thread ends."""
    worker = Worker(name)
    try:
        yield worker
    finally:
        worker.close()


class Worker:
    """Runs jobs in a thread of its own; the event loop is woken once for each job."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._open = True
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[], ResultT]) -> ResultT:
        """Do the work in the thread. It is done even if the caller is cancelled.

        Raises StoreUnavailable when the database fails, or after `close`, and StoreDamaged when its file is damaged.
        """
        if not self._open:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[ResultT] = loop.create_future()

        def job() -> None:
            try:
                result = work()
            except BaseException as error:  # whatever it is, the caller awaits it
                _wake(loop, _refuse, future, translated(error))
            else:
                _wake(loop, _resolve, future, result)

        self._jobs.put(job)
        return await future

    def close(self) -> None:
        """Refuse further work, finish what waits, and end the thread."""
        self._open = False
        self._jobs.put(None)
        self._thread.join()

    @property
    def waiting(self) -> int:
        """Count the jobs that are not begun."""
        return self._jobs.qsize()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _wake(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
    try:
        loop.call_soon_threadsafe(callback, *arguments)
    except RuntimeError:
        log.debug("the event loop ended before an answer reached it")


def _resolve(future: "asyncio.Future[ResultT]", result: ResultT) -> None:
    if not future.done():
        future.set_result(result)


def _refuse(future: "asyncio.Future[ResultT]", error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
