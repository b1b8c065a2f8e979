"""The rows that one batch writes: items for the triggers of `sql/batch/`, and their payloads end to end."""

from typing import TypeAlias

import orjson

Value: TypeAlias = str | int | bool | dict[str, str] | None


class Batch:
    """Collects items in the order in which they are written."""

    def __init__(self) -> None:
        self._items: list[dict[str, Value]] = []
        self._payloads: list[bytes] = []
        self._length = 0

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, kind: str, payload: bytes = b"", /, **values: Value) -> None:
        """Add an item for the trigger of this name."""
        values["kind"] = kind
        values["start"] = self._length + 1
        values["length"] = len(payload)
        self._items.append(values)
        self._payloads.append(payload)
        self._length += len(payload)

    def bindings(self) -> dict[str, str | bytes]:
        """Return what `write_batch.sql` needs."""
        return {"items": orjson.dumps(self._items).decode(), "payload": b"".join(self._payloads)}
