"""The log of events in SQLite."""

from collections.abc import Sequence

from comby.server.domain.identity import AggregateKey, LogIdentity, Position, Version
from comby.server.ports.event_store import (
    ElementPage,
    EventFilter,
    EventPage,
    EventStore,
    StoredEvent,
    Verdict,
    Write,
)
from comby.server.stores.sqlite.event_pages import PageRequest, read_element_page, read_page
from comby.server.stores.sqlite.packed import unpack_events
from comby.server.stores.sqlite.session import Session


class SqliteEventStore(EventStore):
    """Writes batches through the one writer, and reads pages of the log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def identity(self) -> LogIdentity:
        return self._session.writing.identity

    @property
    def unclean(self) -> bool:
        return self._session.writing.unclean

    @property
    def commits_at_once(self) -> int:
        return self._session.writing.commits_at_once

    @property
    def lingers(self) -> int:
        return self._session.writing.lingers

    async def head(self) -> Position:
        return self._session.head

    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        return await self._session.writing.commit(writes)

    async def read(
        self,
        *,
        after: Position,
        filter: EventFilter,
        limit: int,
        max_bytes: int,
        backwards: bool = False,
    ) -> EventPage:
        request = self._request(after, filter, limit, max_bytes, backwards=backwards)
        return await self._session.read(lambda connection: read_page(connection, self._session.sql, request))

    async def read_elements(self, *, after: Position, filter: EventFilter, limit: int, max_bytes: int) -> ElementPage:
        request = self._request(after, filter, limit, max_bytes)
        return await self._session.read(lambda connection: read_element_page(connection, self._session.sql, request))

    async def read_aggregate(
        self,
        key: AggregateKey,
        *,
        after: Version,
        up_to: Version | None = None,
        limit: int,
    ) -> Sequence[StoredEvent]:
        row = await self._session.row("read_aggregate", _history(key, after, up_to, limit))
        return unpack_events(*row) if row else []

    async def read_history(
        self, key: AggregateKey, *, after: Version, up_to: Version | None = None, limit: int
    ) -> bytes:
        row = await self._session.row("concat_aggregate", _history(key, after, up_to, limit))
        return bytes(row[0]) if row else b""

    async def version(self, key: AggregateKey) -> tuple[Version, bool]:
        row = await self._session.row(
            "aggregate_version",
            {
                "tenant_id": key.tenant_id,
                "domain": key.domain,
                "aggregate_id": key.aggregate_id,
            },
        )
        return (Version(row[0]), bool(row[1])) if row else (Version(0), False)

    async def position_before(self, time: int) -> Position:
        row = await self._session.row("position_before", {"time": time, "head": self._session.head})
        return Position(row[0]) if row else Position(0)

    def _request(
        self, after: Position, filter: EventFilter, limit: int, max_bytes: int, *, backwards: bool = False
    ) -> PageRequest:
        return PageRequest(
            after=after,
            filter=filter,
            limit=limit,
            max_bytes=max_bytes,
            backwards=backwards,
            head=self._session.head,
        )


def _history(key: AggregateKey, after: Version, up_to: Version | None, limit: int) -> dict[str, str | int | None]:
    return {
        "tenant_id": key.tenant_id,
        "domain": key.domain,
        "aggregate_id": key.aggregate_id,
        "after": after,
        "up_to": up_to,
        "limit": limit,
    }
