"""How a store reaches its one writer, wherever that runs; and the writer in a thread, for stores that are private to a process."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.event_store import Verdict, Write
from comby.server.stores.sqlite.opening import open_for_writing
from comby.server.stores.sqlite.upkeep import Plain, Upkeep
from comby.server.stores.sqlite.worker import Worker, working
from comby.server.stores.sqlite.writer import Writer


class Writing(ABC):
    """The one writer of an open store. Every method raises StoreUnavailable when the database fails or is closed.

    `identity` is the log's; `unclean` tells that the store was not closed in order the last time. `commits_at_once` and
    `lingers` are as `EventStore` has them.
    """

    identity: LogIdentity
    unclean: bool
    commits_at_once = 1
    lingers = 1

    @property
    @abstractmethod
    def head(self) -> Position:
        """The last committed position: a read that begins now sees it."""

    @abstractmethod
    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        """Do what `EventStore.commit` tells."""

    @abstractmethod
    async def upkeep(self, name: Upkeep, *values: Plain) -> Plain:
        """Do one of the writes that need no decision."""

    @abstractmethod
    async def drop_rows(self, model: str, limit: int) -> int:
        """Delete at most `limit` rows of a model, and return how many."""


@asynccontextmanager
async def writing_in_thread(path: Path, *, durable: bool) -> AsyncIterator[Writing]:
    """Run the writer in a thread of this process."""
    with working("comby-store-writer") as worker:
        opened = await worker.run(lambda: open_for_writing(path, durable=durable))
        try:
            yield ThreadWriting(worker, opened.writer, opened.identity, unclean=opened.unclean)
        finally:
            await worker.run(opened.writer.close)


class ThreadWriting(Writing):
    """A writer in a thread: it competes for the interpreter with everything else in the process."""

    def __init__(self, worker: Worker, writer: Writer, identity: LogIdentity, *, unclean: bool) -> None:
        self._worker = worker
        self._writer = writer
        self.identity = identity
        self.unclean = unclean

    @property
    def head(self) -> Position:
        return self._writer.head

    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        return await self._worker.run(lambda: self._writer.commit(writes))

    async def upkeep(self, name: Upkeep, *values: Plain) -> Plain:
        return await self._worker.run(lambda: self._writer.upkeep(name, *values))

    async def drop_rows(self, model: str, limit: int) -> int:
        return await self._worker.run(lambda: self._writer.drop_rows(model, limit))
