"""One open store: its writer, and some threads that read while that waits for the disk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from comby.server.domain.identity import Position
from comby.server.stores.sqlite.statements import Statements
from comby.server.stores.sqlite.worker import Worker
from comby.server.stores.sqlite.writing import Writing

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Reader:
    """A connection that reads, and the thread that owns it."""

    worker: Worker
    connection: apsw.Connection


class Session:
    """Hands work to the writer and the readers. Every method raises StoreUnavailable when the database fails or is closed."""

    def __init__(
        self,
        *,
        statements: Statements,
        writing: Writing,
        readers: tuple[Reader, ...],
    ) -> None:
        self.sql = statements
        self.writing = writing
        self._readers = readers

    @property
    def head(self) -> Position:
        """The last committed position: a read that begins now sees it."""
        return self.writing.head

    async def read(self, work: Callable[[apsw.Connection], ResultT]) -> ResultT:
        """Run work in the reader's thread that has least to do."""
        reader = min(self._readers, key=lambda reader: reader.worker.waiting)
        return await reader.worker.run(lambda: work(reader.connection))

    async def row(self, name: str, bindings: dict[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row of a statement that reads."""
        sql = self.sql[name]
        return await self.read(lambda connection: connection.execute(sql, bindings).fetchone())

    async def rows(self, name: str, bindings: dict[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows of a statement that reads a few."""
        sql = self.sql[name]
        return await self.read(lambda connection: connection.execute(sql, bindings).fetchall())
