"""Rows of read models in PostgreSQL."""

from collections.abc import Mapping, Sequence
from typing import Any

from comby.server.domain.identity import Version
from comby.server.ports.read_model_store import OrderedRow, ReadModelStore, RowQuery, StoredRow
from comby.server.stores.postgres.row_changes import fields_json
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
        return [OrderedRow(_row(*row), unescaped(value)) for *row, value in rows]

    async def stale(self, model: str, *, stamp: str, limit: int) -> Sequence[tuple[str, str]]:
        rows = await self._session.rows("stale_rows", escaped(model), escaped(stamp), limit)
        return [(unescaped(tenant_id), unescaped(key)) for tenant_id, key in rows]

    async def drop(self, model: str) -> None:
        while await self._session.value("drop_rows", escaped(model), DROPPED_AT_ONCE):
            pass

    async def _listing(self, query: RowQuery) -> tuple[str, Sequence[Any]]:
        """Choose the statement whose index leaves least to look at, and return its arguments without the limit."""
        model = [escaped(query.model), escaped(query.tenant_id)]
        after_value, after_key = map(escaped, query.after) if query.after else (None, None)
        order, filter = escaped(query.order_by), fields_json(query.filter)
        if not query.filter and not order:
            return "list_rows_by_key", [*model, after_key]
        if not query.filter:
            return "list_rows_by_field", [*model, order, after_value, after_key, filter]
        names, values = escaped_all(list(query.filter)), escaped_all(list(query.filter.values()))
        row = await self._session.row("count_few", *model, names, values, FEW)
        assert row is not None
        field, value, found = row
        if not order:
            return "list_rows_by_filter", [*model, field, value, after_key, filter]
        if found < FEW:
            return "list_rows_by_few", [*model, field, value, order, after_value, after_key, filter]
        return "list_rows_by_field", [*model, order, after_value, after_key, filter]


def _row(key: str, row: bytes, stamp: str, version: int) -> StoredRow:
    return StoredRow(key=unescaped(key), row=row, stamp=unescaped(stamp), version=Version(version))
