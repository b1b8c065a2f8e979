"""Pages of events: an index finds positions, and those whose events match the whole filter are returned."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from comby.server.domain.identity import AggregateKey, Position, Version
from comby.server.ports.event_store import ElementPage, EventFilter, EventPage, StoredEvent
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, escaped_all, unescaped

EXAMINED = 5_000
"""Positions a page examines where the index does not cover the filter; some milliseconds."""
NO_BOUND = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What `EventStore.read` was asked for."""

    after: Position
    filter: EventFilter
    limit: int
    max_bytes: int
    backwards: bool = False

    @property
    def bound(self) -> int:
        """The exclusive start."""
        return NO_BOUND if self.backwards and not self.after else self.after

    def end(self, head: int) -> Position:
        """Return the position that is reached when everything was examined."""
        return Position(min(1, head) if self.backwards else head)


async def read_page(session: Session, request: PageRequest) -> EventPage:
    """Read one page."""
    arguments, examined = _arguments(request)
    rows = await session.rows("pick_events_backwards" if request.backwards else "pick_events", *arguments)
    events = read_events(rows, skip=4) if rows[0]["position"] is not None else []
    return EventPage(events, _through(request, rows[0], examined, len(events), events[-1].position if events else 0))


async def read_element_page(session: Session, request: PageRequest) -> ElementPage:
    """Read one page as bytes: they are put end to end by the database."""
    index, covers = _index(request.filter)
    if covers and index in ("log", "tenant"):
        page = await _read_range(session, request, index)
        if page is not None:
            return page
    arguments, examined = _arguments(request)
    row = await session.row("pick_elements", *arguments)
    assert row is not None
    through = _through(request, row, examined, row["count"], row["last"])
    return ElementPage(row["elements"] or b"", row["count"], through)


async def _read_range(session: Session, request: PageRequest, index: str) -> ElementPage | None:
    """Read a page of everything in a range at a fraction of the cost; None when it would be larger than was asked for."""
    tenant = () if request.filter.tenant_id is None else (escaped(request.filter.tenant_id),)
    row = await session.row(f"read_range_of_{index}", request.after, request.limit, request.max_bytes, *tenant)
    assert row is not None
    count = row["count"]
    if not count:
        return ElementPage(b"", 0, request.end(row["head"]))
    if row["elements"] is None:
        return None
    return ElementPage(row["elements"], count, Position(row["last"] if count == request.limit else row["head"]))


def read_events(rows: Sequence[asyncpg.Record], *, skip: int = 0) -> list[StoredEvent]:
    """Return the events of rows, which begin after some other columns."""
    return [_event(*tuple(row)[skip:]) for row in rows]


def _event(
    position: int,
    recorded_at: int,
    tenant_id: str,
    domain: str,
    aggregate_id: str,
    version: int,
    type_name: str,
    record: bytes,
) -> StoredEvent:
    return StoredEvent(
        position=Position(position),
        recorded_at=recorded_at,
        key=AggregateKey(unescaped(tenant_id), unescaped(domain), unescaped(aggregate_id)),
        version=Version(version),
        type=unescaped(type_name),
        record=record,
    )


def _through(request: PageRequest, row: asyncpg.Record, examined: int, count: int, last: int) -> Position:
    """Return the last position that was examined."""
    if count and (row["matching"] >= request.limit or count < row["matching"]):
        return Position(last)
    return Position(row["last_examined"]) if row["examined"] == examined else request.end(row["head"])


def _index(filter: EventFilter) -> tuple[str, bool]:
    """Choose the index, and tell whether it alone decides what matches."""
    one_tenant = filter.tenant_id is not None
    if filter.aggregate is not None:
        return "aggregate", not (one_tenant or filter.domains or filter.types)
    if filter.types:
        return "types", not (one_tenant or filter.domains)
    if one_tenant:
        return "tenant", not filter.domains
    return "log", not filter.domains


def _arguments(request: PageRequest) -> tuple[list[Any], int]:
    """Return the arguments of `pick_events` and `pick_elements`, and how many positions are examined at most."""
    filter = request.filter
    index, covers = _index(filter)
    examined = request.limit if covers else max(request.limit, EXAMINED)
    aggregate = map(escaped, filter.aggregate) if filter.aggregate is not None else (None, None, None)
    return [
        index,
        request.bound,
        examined,
        request.limit,
        None if filter.tenant_id is None else escaped(filter.tenant_id),
        _texts(filter.types),
        *aggregate,
        _texts(filter.domains),
        max(request.max_bytes, 1),
    ], examined


def _texts(values: Collection[str]) -> Sequence[str] | None:
    return escaped_all(sorted(values)) if values else None
