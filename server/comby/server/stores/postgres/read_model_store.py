"""Rows of read models in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from comby.server.domain.identity import Version
from comby.server.ports.read_model_store import OrderedRow, ReadModelStore, RowQuery, StoredRow
from comby.server.stores.postgres.row_entries import bounds, entries, entry, value_of
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, escaped_all, unescaped

FEW = 1_000
"""Rows that are sorted in place of walking the index that orders."""
DROPPED_AT_ONCE = 500
"""Rows; some milliseconds of the lock that commits need."""


class PostgresReadModelStore(ReadModelStore):
    """Reads rows by key, or in pages by indexed fields."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, model: str, tenant_id: str, key: str) -> StoredRow | None:
        return (await self.get_many(model, [(tenant_id, key)])).get((tenant_id, key))

    async def get_many(self, model: str, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredRow]:
        tenants = escaped_all([tenant_id for tenant_id, _ in keys])
        rows = await self._session.rows("get_rows", escaped(model), tenants, escaped_all([key for _, key in keys]))
        found = ((unescaped(tenant_id), _row(*row)) for tenant_id, *row in rows)
        return {(tenant_id, row.key): row for tenant_id, row in found}

    async def list(self, query: RowQuery, *, limit: int) -> Sequence[OrderedRow]:
        name, arguments = await self._listing(query)
        rows = await self._session.rows(name + ("_descending" if query.descending else ""), *arguments, limit)
        return [OrderedRow(_row(*row), value_of(found)) for *row, found in rows]

    async def stale(self, model: str, *, stamp: str, limit: int) -> Sequence[tuple[str, str]]:
        rows = await self._session.rows("stale_rows", escaped(model), escaped(stamp), limit)
        return [(unescaped(tenant_id), unescaped(key)) for tenant_id, key in rows]

    async def drop(self, model: str) -> None:
        while await self._session.value("drop_rows", escaped(model), DROPPED_AT_ONCE):
            pass

    async def _listing(self, query: RowQuery) -> tuple[str, Sequence[Any]]:
        """Choose the statement whose index leaves least to look at, and return its arguments without the limit."""
        model = [escaped(query.model), escaped(query.tenant_id)]
        filter = entries(query.filter)
        after_key = escaped(query.after[1]) if query.after else None
        if not query.order_by and not filter:
            return "list_rows_by_key", [*model, after_key]
        order = [*bounds(query.order_by), entry(query.order_by, query.after[0]) if query.after else None, after_key]
        if not filter:
            return "list_rows_by_field", [*model, *order, filter]
        row = await self._session.row("count_few", *model, filter, FEW)
        assert row is not None
        driving, found = row
        if not query.order_by:
            return "list_rows_by_filter", [*model, driving, after_key, filter]
        if found < FEW:
            return "list_rows_by_few", [*model, driving, *order, filter]
        return "list_rows_by_field", [*model, *order, filter]


def _row(key: str, row: bytes, stamp: str, version: int) -> StoredRow:
    return StoredRow(key=unescaped(key), row=row, stamp=unescaped(stamp), version=Version(version))
