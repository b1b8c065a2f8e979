"""The log of events in PostgreSQL."""

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
from comby.server.stores.postgres.event_pages import PageRequest, read_element_page, read_events, read_page
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped


class PostgresEventStore(EventStore):
    """Writes batches through the one connection that commits, and reads pages of the log."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def identity(self) -> LogIdentity:
        return self._session.writer.identity

    @property
    def unclean(self) -> bool:
        """False: where an instance ended without order, each takeover of its partitions tells so."""
        return False

    async def head(self) -> Position:
        return Position(await self._session.value("head"))

    async def commit(self, writes: Sequence[Write]) -> Sequence[Verdict]:
        return await self._session.writer.commit(writes)

    async def read(
        self,
        *,
        after: Position,
        filter: EventFilter,
        limit: int,
        max_bytes: int,
        backwards: bool = False,
    ) -> EventPage:
        request = PageRequest(after=after, filter=filter, limit=limit, max_bytes=max_bytes, backwards=backwards)
        return await read_page(self._session, request)

    async def read_elements(self, *, after: Position, filter: EventFilter, limit: int, max_bytes: int) -> ElementPage:
        request = PageRequest(after=after, filter=filter, limit=limit, max_bytes=max_bytes)
        return await read_element_page(self._session, request)

    async def read_aggregate(
        self,
        key: AggregateKey,
        *,
        after: Version,
        up_to: Version | None = None,
        limit: int,
    ) -> Sequence[StoredEvent]:
        return read_events(await self._session.rows("read_aggregate", *map(escaped, key), after, up_to, limit))

    async def read_history(
        self, key: AggregateKey, *, after: Version, up_to: Version | None = None, limit: int
    ) -> bytes:
        return await self._session.value("concat_aggregate", *map(escaped, key), after, up_to, limit) or b""

    async def version(self, key: AggregateKey) -> tuple[Version, bool]:
        row = await self._session.row("aggregate_version", *map(escaped, key))
        return (Version(row[0]), row[1]) if row else (Version(0), False)

    async def position_before(self, time: int) -> Position:
        return Position(await self._session.value("position_before", time))
