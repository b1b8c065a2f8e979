"""Rows of read models and the entries of their indexed fields: only what a batch changes of them is written."""

from collections.abc import Mapping
from typing import TypeAlias

import apsw
import orjson

from comby.server.ports.read_model_store import DeleteRow, PutRow
from comby.server.stores.sqlite.batch import Batch
from comby.server.stores.sqlite.memory import Memory, RowKey

Changes: TypeAlias = Mapping[RowKey, PutRow | DeleteRow]
"""By row, the last change of each."""


def add_rows(batch: Batch, connection: apsw.Connection, look_up: str, memory: Memory, changes: Changes) -> None:
    """Add what the changes of rows come to, given what is stored; `memory` learns their fields, as if all were written."""
    unknown = [key for key in changes if key not in memory.fields]
    stored: dict[RowKey, str] = {}
    if unknown:
        for model, tenant_id, key, fields in connection.executemany(look_up, unknown):
            stored[model, tenant_id, key] = fields
    for row_key, change in changes.items():
        before = memory.fields.get(row_key) or stored.get(row_key)
        match change:
            case PutRow():
                after = orjson.dumps(change.fields).decode()
                batch.add("put_row", (*row_key, change.version, change.stamp, after, change.row))
                if before != after:
                    _add_fields(batch, row_key, _parsed(before), change.fields)
                memory.remember_fields(row_key, after)
            case DeleteRow():
                batch.add("delete_row", row_key)
                _add_fields(batch, row_key, _parsed(before), {})
                memory.fields.pop(row_key, None)


def _add_fields(batch: Batch, row_key: RowKey, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    model, tenant_id, key = row_key
    for field, value in before.items():
        if after.get(field) != value:
            batch.add("delete_field", (model, tenant_id, field, value, key))
    for field, value in after.items():
        if before.get(field) != value:
            batch.add("put_field", (model, tenant_id, field, value, key))


def _parsed(fields: str | None) -> Mapping[str, str]:
    found: dict[str, str] = orjson.loads(fields) if fields else {}
    return found
