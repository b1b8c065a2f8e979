"""Checkpoints and waiting keys in PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.checkpoint_store import CheckpointStore, Consumer, WaitingKey
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, unescaped


class PostgresCheckpointStore(CheckpointStore):
    """Reads and registers consumers; their checkpoints are moved by `EventStore.commit`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def consumers(self) -> Sequence[Consumer]:
        return [_consumer(row) for row in await self._session.rows("list_consumers")]

    async def create(self, consumer: Consumer) -> Consumer:
        row = await self._session.row(
            "create_consumer",
            escaped(consumer.name),
            consumer.generation,
            consumer.version,
            consumer.live,
            consumer.position,
            consumer.since,
        )
        assert row is not None
        return _consumer(row)

    async def switch(self, name: str, *, generation: int) -> None:
        await self._session.row("switch_consumer", escaped(name), generation)

    async def delete(self, name: str, *, generation: int) -> None:
        await self._session.row("delete_consumer", escaped(name), generation)

    async def waiting_keys(
        self,
        reactor: str,
        *,
        tenant_id: str | None = None,
        after: AggregateKey | None = None,
        limit: int,
    ) -> Sequence[WaitingKey]:
        tenant = None if tenant_id is None else escaped(tenant_id)
        bound = (None, None, None) if after is None else map(escaped, after)
        rows = await self._session.rows("list_waiting_keys", escaped(reactor), tenant, *bound, limit)
        return [_waiting_key(*row) for row in rows]

    async def waiting_positions(self, reactor: str, key: AggregateKey, *, limit: int) -> Sequence[Position]:
        rows = await self._session.rows("list_waiting_positions", escaped(reactor), *map(escaped, key), limit)
        return [Position(position) for (position,) in rows]


def _consumer(row: asyncpg.Record) -> Consumer:
    return Consumer(
        name=unescaped(row["name"]),
        generation=row["generation"],
        version=row["version"],
        live=row["live"],
        position=Position(row["position"]),
        since=Position(row["since"]),
    )


def _waiting_key(
    reactor: str,
    tenant_id: str,
    domain: str,
    aggregate_id: str,
    position: int,
    attempts: int,
    since: int,
    next_attempt_at: int | None,
    incident: str,
    waiting: int,
) -> WaitingKey:
    return WaitingKey(
        reactor=unescaped(reactor),
        key=AggregateKey(unescaped(tenant_id), unescaped(domain), unescaped(aggregate_id)),
        position=Position(position),
        attempts=attempts,
        since=since,
        next_attempt_at=next_attempt_at,
        incident=unescaped(incident),
        waiting=waiting,
    )
