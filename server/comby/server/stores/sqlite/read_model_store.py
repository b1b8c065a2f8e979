"""Rows of read models in SQLite."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import apsw

from comby.server.ports.read_model_store import (
    OrderedRow,
    ReadModelStore,
    RowQuery,
    StoredRow,
)
from comby.server.stores.sqlite.packed import unpack_rows
from comby.server.stores.sqlite.session import Session
from comby.server.stores.sqlite.statements import Statements

FEW = 1_000  # rows that are sorted in place of walking the index that orders
DROPPED_AT_ONCE = 500  # rows; some milliseconds of the writer's time


class SqliteReadModelStore(ReadModelStore):
    """Reads rows by key, or in pages by indexed fields."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def get(self, model: str, tenant_id: str, key: str) -> StoredRow | None:
        return (await self.get_many(model, [(tenant_id, key)])).get((tenant_id, key))

    async def get_many(self, model: str, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredRow]:
        row = await self._session.row("get_rows", {"model": model, "keys": json.dumps(sorted(set(keys)))})
        return {(tenant_id, found.key): found for tenant_id, found in unpack_rows(*row)} if row else {}

    async def list(self, query: RowQuery, *, limit: int) -> Sequence[OrderedRow]:
        return await self._session.read(lambda connection: _read_list(connection, self._session.sql, query, limit))

    async def stale(self, model: str, *, stamp: str, limit: int) -> Sequence[tuple[str, str]]:
        row = await self._session.row("stale_rows", {"model": model, "stamp": stamp, "limit": limit})
        return [(tenant_id, key) for tenant_id, key in json.loads(row[0])] if row else []

    async def drop(self, model: str) -> None:
        while await self._session.writing.drop_rows(model, DROPPED_AT_ONCE):
            continue


def _read_list(connection: apsw.Connection, sql: Statements, query: RowQuery, limit: int) -> list[OrderedRow]:
    bindings: dict[str, Any] = {
        "model": query.model,
        "tenant_id": query.tenant_id,
        "filter": json.dumps(dict(query.filter)),
        "order_by": query.order_by,
        "after_value": query.after[0] if query.after else None,
        "after_key": query.after[1] if query.after else None,
        "limit": limit,
        "few": FEW,
    }
    name = _driver(connection, sql, query, bindings)
    items, rows, values = connection.execute(sql[name + ("_descending" if query.descending else "")], bindings).get
    return [
        OrderedRow(row, value) for (_, row), value in zip(unpack_rows(items, rows), json.loads(values), strict=True)
    ]


def _driver(
    connection: apsw.Connection,
    sql: Statements,
    query: RowQuery,
    bindings: dict[str, Any],
) -> str:
    """Choose the statement whose index leaves least to look at; the driving field is added to the bindings."""
    if not query.filter:
        return "list_rows_by_field" if query.order_by else "list_rows_by_key"
    field, value, found = connection.execute(sql["count_few"], bindings).get
    bindings["driving_field"] = field
    bindings["driving_value"] = value
    if not query.order_by:
        return "list_rows_by_filter"
    return "list_rows_by_few" if found < FEW else "list_rows_by_field"
