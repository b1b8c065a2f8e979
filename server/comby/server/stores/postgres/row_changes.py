"""The changes of read models' rows in a batch, as arguments of `comby.append`."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from comby.server.ports.read_model_store import DeleteRow, PutRow
from comby.server.stores.postgres.text import escaped, escaped_all

LONGEST_KEY = 1_000
"""Bytes of a row's key: it has to fit beside an indexed value in a third of a page of the index."""


class RowChanges:
    """Collects changes; the last one of a row that is written counts, so each row has a place of its own."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, str, str], int] = {}
        self._changes: list[tuple[Any, ...]] = []

    def add(self, request: int, change: PutRow | DeleteRow) -> None:
        """Add what a request writes or deletes. Raises ValueError for a key that no index can hold."""
        key = change.key
        if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
            raise ValueError(f"a row's key has more than {LONGEST_KEY} bytes")
        name = (change.model, change.tenant_id, key)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self._places) + 1
        if isinstance(change, PutRow):
            fields = fields_json(change.fields)
            self._changes.append((request, place, *name, change.version, change.stamp, fields, change.row))
        else:
            self._changes.append((request, place, *name, 0, "", None, None))

    def columns(self) -> list[Sequence[Any]]:
        """Return the arguments."""
        if not self._changes:
            return [()] * 9
        found: list[Sequence[Any]] = list(zip(*self._changes, strict=True))
        for place in (2, 3, 4, 6):
            found[place] = escaped_all(found[place])
        return found


def fields_json(fields: Mapping[str, str]) -> str:
    """Return indexed fields as JSON, with names and values escaped."""
    text = orjson.dumps(fields).decode()
    if "\\u000" not in text:
        return text
    return orjson.dumps({escaped(name): escaped(value) for name, value in fields.items()}).decode()
