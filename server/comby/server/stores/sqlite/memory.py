"""What the writer remembers between batches. It is the only writer, so this is true until a transaction fails."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from comby.server.domain.identity import AggregateKey

REMEMBERED_AGGREGATES = 50_000  # about 20 MB at most
REMEMBERED_ROWS = 20_000  # about 10 MB at most, for rows with few indexed fields

Guard: TypeAlias = tuple[int, bool]
"""An aggregate's version, and whether it is closed."""

UNKNOWN: Guard = (0, False)

RowKey: TypeAlias = tuple[str, str, str]
"""A row's model, tenant and key."""


@dataclass(slots=True, kw_only=True)
class Memory:
    """The last batch, position, time and accept_seq; hot aggregates; the stamps that were noted; the indexed fields of
    hot rows, as stored; and where every checkpoint stands."""

    batch: int
    head: int
    recorded_at: int
    accept_seq: int
    consumers: dict[tuple[str, int], int]
    guards: OrderedDict[AggregateKey, Guard] = field(default_factory=OrderedDict)
    fields: OrderedDict[RowKey, str] = field(default_factory=OrderedDict)
    stamps: frozenset[tuple[str, str]] = frozenset()

    def remember(self, guards: Mapping[AggregateKey, Guard]) -> None:
        """Keep the versions of these aggregates, and forget the ones that were written longest ago."""
        for key, guard in guards.items():
            self.guards[key] = guard
            self.guards.move_to_end(key)
        while len(self.guards) > REMEMBERED_AGGREGATES:
            self.guards.popitem(last=False)

    def remember_fields(self, key: RowKey, fields: str) -> None:
        """Keep the indexed fields of a row, and forget those of the one that was written longest ago."""
        self.fields[key] = fields
        self.fields.move_to_end(key)
        if len(self.fields) > REMEMBERED_ROWS:
            self.fields.popitem(last=False)
