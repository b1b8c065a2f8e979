"""One open database, as the stores use it: statements by name for whoever reads, and the writer for who commits."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from comby.server.stores.postgres.readers import Readers
from comby.server.stores.postgres.statements import Statements
from comby.server.stores.postgres.writer import Writer


class Session:
    """Every method raises StoreUnavailable when the database fails or is closed."""

    def __init__(self, *, sql: Statements, writer: Writer, readers: Readers) -> None:
        self.writer = writer
        self._sql = sql
        self._readers = readers

    async def rows(self, name: str, *arguments: Any) -> Sequence[asyncpg.Record]:
        """Return all rows of a statement."""
        sql = self._sql[name]
        return await self._readers.run(lambda connection: connection.fetch(sql, *arguments))

    async def row(self, name: str, *arguments: Any) -> asyncpg.Record | None:
        """Return the first row of a statement."""
        sql = self._sql[name]
        return await self._readers.run(lambda connection: connection.fetchrow(sql, *arguments))

    async def value(self, name: str, *arguments: Any) -> Any:
        """Return the first column of the first row of a statement; None where there is no row."""
        sql = self._sql[name]
        return await self._readers.run(lambda connection: connection.fetchval(sql, *arguments))
