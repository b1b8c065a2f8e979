"""Rows of read models: of projections, and the free one of every aggregate's state.

A row is a serialized message under a key, in a model and a tenant. `fields` are its indexed values, encoded so that
their
order as text (by code point) is the order of the values.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from comby.server.domain.identity import Version

LONGEST_KEY = 1_000
"""Bytes of a row's key: in PostgreSQL it has to fit beside an indexed value in a third of a page of the index."""


def refuse_long_key(key: str) -> None:
    """Raise ValueError for a key that not every store can hold."""
    if len(key) * 4 > LONGEST_KEY and len(key.encode()) > LONGEST_KEY:
        raise ValueError(f"a row's key has more than {LONGEST_KEY} bytes")


@dataclass(slots=True)
class PutRow:
    """Writes a row. `stamp` tells how it was made: rows of another stamp are stale. `version` is the aggregate's; 0
    for a projection's row."""

    model: str
    tenant_id: str
    key: str
    row: bytes
    fields: Mapping[str, str] = field(default_factory=dict)
    stamp: str = ""
    version: Version = Version(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRow:
    """Deletes a row, if it exists."""

    model: str
    tenant_id: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRow:
    """A row as stored."""

    key: str
    row: bytes
    stamp: str
    version: Version


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Selects rows of one model and tenant: all whose fields equal `filter`, ordered by the field `order_by` (rows
    without it are left out), then
    by key; by key alone where it is empty. `after` is the exclusive start: (the field's value, or empty, and the key)
    of the last row before.
    """

    model: str
    tenant_id: str
    filter: Mapping[str, str] = field(default_factory=dict)
    order_by: str = ""
    descending: bool = False
    after: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class OrderedRow:
    """A row and the value that it is ordered by; empty where that is the key."""

    row: StoredRow
    value: str


class ReadModelStore(ABC):
    """Reads rows; they are written by `EventStore.commit`. Every method raises StoreUnavailable when the store can
    not be read now."""

    @abstractmethod
    async def get(self, model: str, tenant_id: str, key: str) -> StoredRow | None:
        """Return a row, or None."""

    @abstractmethod
    async def get_many(self, model: str, keys: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], StoredRow]:
        """Return those rows that exist, by (tenant, key), in one read."""

    @abstractmethod
    async def list(self, query: RowQuery, *, limit: int) -> Sequence[OrderedRow]:
        """Return at most `limit` rows."""

    @abstractmethod
    async def stale(self, model: str, *, stamp: str, limit: int) -> Sequence[tuple[str, str]]:
        """Return (tenant, key) of at most `limit` rows whose stamp is another."""

    @abstractmethod
    async def drop(self, model: str) -> None:
        """Delete all rows of a model, in steps that leave room for other writers."""
