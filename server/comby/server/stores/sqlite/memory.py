"""What the writer remembers between batches. It is the only writer, so this is true until a transaction fails."""

from collections import OrderedDict
from dataclasses import dataclass, field

from comby.server.domain.identity import AggregateKey

REMEMBERED_AGGREGATES = 100_000  # about 40 MB at most

Guard = tuple[int, bool]
"""An aggregate's version, and whether it is closed."""

UNKNOWN: Guard = (0, False)


@dataclass(slots=True, kw_only=True)
class Memory:
    """The last batch, position, time and accept_seq; hot aggregates; the stamps that were noted; and where every
    checkpoint stands."""

    batch: int
    head: int
    recorded_at: int
    accept_seq: int
    consumers: dict[tuple[str, int], int]
    guards: OrderedDict[AggregateKey, Guard] = field(default_factory=OrderedDict)
    stamps: frozenset[tuple[str, str]] = frozenset()

    def remember(self, guards: dict[AggregateKey, Guard]) -> None:
        """Keep the versions of these aggregates, and forget the ones that were written longest ago."""
        for key, guard in guards.items():
            self.guards[key] = guard
            self.guards.move_to_end(key)
        while len(self.guards) > REMEMBERED_AGGREGATES:
            self.guards.popitem(last=False)
