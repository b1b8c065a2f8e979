"""The writer in a process of its own, with an interpreter of its own: requests go there in frames, and verdicts come back.

When that process dies, another one is started. What is on disk tells of each batch that was not answered whether it is stored;
then its verdicts are recovered, else it is sent again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.errors import StoreError, StoreUnavailable
from comby.server.ports.event_store import Verdict, Write
from comby.server.stores.sqlite.failures import restored
from comby.server.stores.sqlite.frames import Frame, framed
from comby.server.stores.sqlite.process import WriterProcess, start_process
from comby.server.stores.sqlite.upkeep import Plain, Upkeep
from comby.server.stores.sqlite.wire_verdicts import unpack_verdict
from comby.server.stores.sqlite.wire_writes import pack_write
from comby.server.stores.sqlite.writing import Writing

log = logging.getLogger("comby.store")

SENT_AT_MOST = 2
"""How often a request is sent: one under which the process died twice may be what it dies of."""
RESTART_SECONDS = (0.0, 0.1, 0.5, 1.0, 2.0)
"""Pauses before the starts that follow one another; the last one goes on."""
PATIENT_STARTS = 2
"""Starts that may fail before those who wait are told so."""
STEADY_SECONDS = 10.0
"""A process that lived as long is no reason to pause before the next."""


@dataclass(slots=True, eq=False)
class Request:
    """A request that is not answered."""

    number: int
    kind: str
    values: Any
    future: "asyncio.Future[Any]"
    sent: int = 0


@asynccontextmanager
async def writing_in_process(path: Path, *, durable: bool, lock: int) -> AsyncIterator[Writing]:
    """Run the writer in a process of its own, which holds the store's lock too."""
    writing = ProcessWriting(path, durable=durable, lock=lock)
    await writing.open()
    try:
        yield writing
    finally:
        await writing.close()


class ProcessWriting(Writing):
    """A writer in another process. Requests are answered in the order in which they were made; batches that wait there together are
    written in one transaction."""

    commits_at_once = 3
    lingers = 6
    """Measured with 64 callers: a quarter to a third more commands a second than with one; another few bring no more."""

    def __init__(self, path: Path, *, durable: bool, lock: int) -> None:
        self._path = path.absolute()
        self._durable = durable
        self._lock = lock
        self._process: WriterProcess | None = None
        self._greeting: asyncio.Future[Frame] | None = None
        self._unanswered: deque[Request] = deque()
        self._number = 0
        self._head = Position(0)
        self._closed = False
        self._since = 0.0
        self._restarts = 0
        self._restarting: asyncio.Task[None] | None = None

    @property
    def head(self) -> Position:
        return self._head

    @property
    def process_id(self) -> int | None:
        """The number of the process; None while there is none."""
        return None if self._process is None else self._process.pid

    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        answer = await self._request("commit", [pack_write(write) for write in writes])
        return [unpack_verdict(verdict) for verdict in answer]

    async def upkeep(self, name: Upkeep, *values: Plain) -> Plain:
        answer: Plain = await self._request("upkeep", (name, *values))
        return answer

    async def drop_rows(self, model: str, limit: int) -> int:
        answer: int = await self._request("drop_rows", (model, limit))
        return answer

    async def open(self) -> None:
        """Start the process. Raises what opening a store raises."""
        _, _, log_id, incarnation, self.unclean, *_ = await self._start()
        self.identity = LogIdentity(log_id, incarnation)

    async def close(self) -> None:
        """Finish what waits, close the store and wait for the process to end."""
        self._closed = True
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        if self._process is not None:
            try:
                await self._send(Request(0, "close", None, asyncio.get_running_loop().create_future()))
            except StoreUnavailable:
                log.warning("the writer's process ended before the store was closed")
            await self._process.end(at_once=False)
        self._refuse_all("the store is closed")

    async def _request(self, kind: str, values: Any) -> Any:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        self._number += 1
        return await self._send(Request(self._number, kind, values, asyncio.get_running_loop().create_future()))

    def _send(self, request: Request) -> "asyncio.Future[Any]":
        """Send a request, now or when there is a process again."""
        if self._process is not None:
            request.sent += 1
            self._process.send(framed((request.number, request.kind, request.values)))
        self._unanswered.append(request)
        return request.future

    async def _start(self) -> Frame:
        """Start a process and return how it opened the store. Raises StoreError."""
        loop = asyncio.get_running_loop()
        self._greeting = loop.create_future()
        process = await start_process(
            self._path, durable=self._durable, lock=self._lock, told=self._told, ended=self._ended
        )
        try:
            greeting = await self._greeting
            if greeting[1] == "refused":
                raise restored(*greeting[2:])
        except BaseException:
            await process.end(at_once=True)
            raise
        self._greeting = None
        self._process = process
        self._since = loop.time()
        *_, batch, self._head = greeting
        self._number = max(self._number, batch)
        return greeting

    def _told(self, frame: Frame) -> None:
        number, kind, *told = frame
        match kind:
            case "log":
                name, level, text = told
                logging.getLogger(name).log(level, text)
            case "open" | "refused":
                assert self._greeting is not None
                self._greeting.set_result(frame)
            case _:
                request = self._unanswered.popleft()
                assert request.number == number
                head, result = told
                self._head = max(self._head, head)
                if request.future.done():
                    return
                if kind == "done":
                    request.future.set_result(result)
                else:
                    request.future.set_exception(restored(*result))

    def _ended(self) -> None:
        if self._greeting is not None:
            if not self._greeting.done():
                self._greeting.set_exception(StoreUnavailable("the writer's process ended while it started"))
        elif self._closed:
            self._refuse_all("the store is closed")
        else:
            log.error("the writer's process ended and is started again")
            ended, self._process = self._process, None
            self._restarting = asyncio.get_running_loop().create_task(self._restart(ended))

    async def _restart(self, ended: WriterProcess | None) -> None:
        """Start a process in place of one that has ended, however long that takes."""
        if ended is not None:
            await ended.end(at_once=True)
        loop = asyncio.get_running_loop()
        if loop.time() - self._since > STEADY_SECONDS:
            self._restarts = 0
        for attempt in count(1):
            await asyncio.sleep(RESTART_SECONDS[min(self._restarts, len(RESTART_SECONDS) - 1)])
            self._restarts += 1
            try:
                greeting = await self._start()
            except (StoreError, OSError) as error:
                log.error("the writer's process could not be started: %s", type(error).__name__)
                if attempt >= PATIENT_STARTS:
                    self._refuse_all("the store's writer could not be started")
            else:
                self._send_again(stored=greeting[-2])
                return

    def _send_again(self, *, stored: int) -> None:
        """Send what is not answered; of batches up to the last one that is stored the verdicts are wanted only."""
        waiting, self._unanswered = self._unanswered, deque()
        for request in waiting:
            if request.sent >= SENT_AT_MOST:
                _refuse(request, "the store's writer ended while it wrote this")
                continue
            if request.kind == "commit" and request.sent and request.number <= stored:
                request.kind = "recover"
            self._send(request)

    def _refuse_all(self, why: str) -> None:
        waiting, self._unanswered = self._unanswered, deque()
        for request in waiting:
            _refuse(request, why)


def _refuse(request: Request, why: str) -> None:
    if not request.future.done():
        request.future.set_exception(StoreUnavailable(why))
