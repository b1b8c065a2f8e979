"""Pages of events: an index finds positions, and those whose events match the whole filter are returned."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import apsw

from comby.server.domain.identity import Position
from comby.server.ports.event_store import ElementPage, EventFilter, EventPage
from comby.server.stores.sqlite.packed import unpack_events
from comby.server.stores.sqlite.statements import Statements

EXAMINED = 5_000  # positions a page examines where the index does not cover the filter; some milliseconds

RANGES = {"": "log", "events_of_tenant": "tenant"}  # what decides alone which events match, and is a range of positions


@dataclass(frozen=True, slots=True, kw_only=True)
class PageRequest:
    """What `EventStore.read` was asked for, and the head when it was."""

    after: Position
    filter: EventFilter
    limit: int
    max_bytes: int
    backwards: bool
    head: Position

    @property
    def end(self) -> Position:
        """The position that is reached when everything was examined."""
        return Position(min(1, self.head)) if self.backwards else self.head

    @property
    def bound(self) -> int:
        """The exclusive start."""
        return self.head + 1 if self.backwards and not self.after else self.after


def read_page(connection: apsw.Connection, sql: Statements, request: PageRequest) -> EventPage:
    """Read one page in at most two statements."""
    positions, examined = _examine(connection, sql, request)
    if not positions:
        return EventPage([], request.end)
    matching, items, records = connection.execute(
        sql["pick_events" + _suffix(request)],
        _bindings(request) | {"positions": json.dumps(positions), "max_bytes": max(request.max_bytes, 1)},
    ).get
    events = unpack_events(items, records)
    if events and (matching >= request.limit or len(events) < matching):
        return EventPage(events, events[-1].position)
    return EventPage(events, Position(positions[-1]) if len(positions) == examined else request.end)


def read_element_page(connection: apsw.Connection, sql: Statements, request: PageRequest) -> ElementPage:
    """Read one page as bytes: they are put end to end by the database."""
    index, covers = _driver(request.filter)
    if covers and index in RANGES:
        page = _read_range(connection, sql, request, RANGES[index])
        if page is not None:
            return page
    positions, examined = _examine(connection, sql, request)
    if not positions:
        return ElementPage(b"", 0, request.end)
    matching, count, last, elements = connection.execute(
        sql["pick_elements"],
        _bindings(request) | {"positions": json.dumps(positions), "max_bytes": max(request.max_bytes, 1)},
    ).get
    if count and (matching >= request.limit or count < matching):
        return ElementPage(elements, count, Position(last))
    through = Position(positions[-1]) if len(positions) == examined else request.end
    return ElementPage(elements or b"", count, through)


def _read_range(connection: apsw.Connection, sql: Statements, request: PageRequest, range: str) -> ElementPage | None:
    """Read a page of everything in a range at a fifth of the cost; None when it would be larger than was asked for."""
    bindings = {"tenant_id": request.filter.tenant_id, "bound": request.bound, "head": request.head}
    count, last, size = connection.execute(sql[f"measure_{range}"], {**bindings, "limit": request.limit}).get
    if size > request.max_bytes:
        return None
    if not count:
        return ElementPage(b"", 0, request.end)
    elements = connection.execute(sql[f"concat_{range}"], {**bindings, "last": last}).get
    return ElementPage(elements, count, Position(last) if count == request.limit else request.end)


def _examine(connection: apsw.Connection, sql: Statements, request: PageRequest) -> tuple[list[int], int]:
    """Return the positions to look at, and how many there are at most."""
    index, covers = _driver(request.filter)
    examined = request.limit if covers else max(request.limit, EXAMINED)
    return _candidates(connection, sql, request, index, examined), examined


def _driver(filter: EventFilter) -> tuple[str, bool]:
    """Choose the index, and tell whether it alone decides what matches."""
    one_tenant = filter.tenant_id is not None
    if filter.aggregate is not None:
        return "events_of_aggregate", not (one_tenant or filter.domains or filter.types)
    if filter.types:
        return "events_of_types", not (one_tenant or filter.domains)
    if one_tenant:
        return "events_of_tenant", not filter.domains
    return "", not filter.domains


def _candidates(
    connection: apsw.Connection,
    sql: Statements,
    request: PageRequest,
    index: str,
    examined: int,
) -> list[int]:
    if not index:
        return list(_window(request, examined))
    bindings = _bindings(request) | {
        "bound": request.bound,
        "head": request.head,
        "limit": examined,
    }
    positions: list[int] = json.loads(connection.execute(sql[index + _suffix(request)], bindings).get)
    return positions


def _window(request: PageRequest, examined: int) -> range:
    if request.backwards:
        first = min(request.bound - 1, request.head)
        return range(first, max(first - examined, 0), -1)
    return range(request.after + 1, min(request.after + examined, request.head) + 1)


def _bindings(request: PageRequest) -> dict[str, str | int | None]:
    filter, aggregate = request.filter, request.filter.aggregate
    return {
        "limit": request.limit,
        "tenant_id": filter.tenant_id,
        "domains": _json_or_none(filter.domains),
        "types": _json_or_none(filter.types),
        "aggregate_tenant_id": aggregate.tenant_id if aggregate else None,
        "aggregate_domain": aggregate.domain if aggregate else None,
        "aggregate_id": aggregate.aggregate_id if aggregate else None,
    }


def _json_or_none(values: Iterable[str]) -> str | None:
    found = sorted(values)
    return json.dumps(found) if found else None


def _suffix(request: PageRequest) -> str:
    return "_backwards" if request.backwards else ""
