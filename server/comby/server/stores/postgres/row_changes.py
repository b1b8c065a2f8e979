"""The changes of read models' rows in a batch, as arguments of `comby.append`."""

from collections.abc import Set
from typing import Any

from comby.server.ports.read_model_store import DeleteRow, PutRow, refuse_long_key
from comby.server.stores.postgres.literals import Argument, columns, numbers, quoted, texts
from comby.server.stores.postgres.row_entries import joined


class RowChanges:
    """Collects changes; the last one of a row that is written counts, so each row has a place of its own."""

    def __init__(self, noted: Set[tuple[str, str]]) -> None:
        self.stamps: set[tuple[str, str]] = set()
        """Models and stamps of the rows that the database was not yet told of."""
        self._noted = noted
        self._places: dict[tuple[str, str, str], int] = {}
        self._changes: list[tuple[Any, ...]] = []

    def add(self, request: int, change: PutRow | DeleteRow) -> None:
        """Add what a request writes or deletes. Raises ValueError for a key that no index can hold."""
        key = change.key
        refuse_long_key(key)
        name = (change.model, change.tenant_id, key)
        place = self._places.get(name)
        if place is None:
            place = self._places[name] = len(self._places) + 1
        if isinstance(change, PutRow):
            stamp = (change.model, change.stamp)
            if stamp not in self._noted:
                self.stamps.add(stamp)
            entries = joined(change.fields)
            self._changes.append((request, place, *name, change.version, change.stamp, entries, change.row))
        else:
            self._changes.append((request, place, *name, 0, "", "", None))

    def arguments(self) -> list[Argument]:
        """Return the arguments."""
        requests, places, models, tenants, keys, versions, stamps, entries, contents = columns(self._changes, 9)
        stamp_models, stamp_names = columns(sorted(self.stamps), 2)
        return [
            numbers(requests),
            numbers(places),
            texts(models),
            texts(tenants),
            texts(keys),
            numbers(versions),
            texts(stamps),
            quoted(entries),
            contents,
            texts(stamp_models),
            texts(stamp_names),
        ]
