"""Checkpoints and waiting keys in SQLite."""

from collections.abc import Sequence

from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.checkpoint_store import CheckpointStore, Consumer, WaitingKey
from comby.server.stores.sqlite.session import Session


class SqliteCheckpointStore(CheckpointStore):
    """Reads and registers consumers; their checkpoints are moved by `EventStore.commit`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def consumers(self) -> Sequence[Consumer]:
        return [_consumer(*row) for row in await self._session.rows("list_consumers", {})]

    async def create(self, consumer: Consumer) -> Consumer:
        stored = await self._session.writing.upkeep(
            "create_consumer",
            consumer.name,
            consumer.generation,
            consumer.version,
            consumer.live,
            consumer.position,
            consumer.since,
        )
        return _consumer(*stored)  # type: ignore[misc]  # the row of a consumer

    async def switch(self, name: str, *, generation: int) -> None:
        await self._session.writing.upkeep("switch_consumer", name, generation)

    async def delete(self, name: str, *, generation: int) -> None:
        await self._session.writing.upkeep("delete_consumer", name, generation)

    async def waiting_keys(
        self,
        reactor: str,
        *,
        tenant_id: str | None = None,
        after: AggregateKey | None = None,
        limit: int,
    ) -> Sequence[WaitingKey]:
        rows = await self._session.rows(
            "list_waiting_keys",
            {
                "reactor": reactor,
                "tenant_id": tenant_id,
                "after_tenant_id": after.tenant_id if after else None,
                "after_domain": after.domain if after else None,
                "after_id": after.aggregate_id if after else None,
                "limit": limit,
            },
        )
        return [_waiting_key(*row) for row in rows]

    async def waiting_positions(self, reactor: str, key: AggregateKey, *, limit: int) -> Sequence[Position]:
        rows = await self._session.rows(
            "list_waiting_positions",
            {
                "reactor": reactor,
                "tenant_id": key.tenant_id,
                "domain": key.domain,
                "aggregate_id": key.aggregate_id,
                "limit": limit,
            },
        )
        return [Position(position) for (position,) in rows]


def _consumer(name: str, generation: int, version: int, live: int, position: int, since: int) -> Consumer:
    return Consumer(
        name=name,
        generation=generation,
        version=version,
        live=bool(live),
        position=Position(position),
        since=Position(since),
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
        reactor=reactor,
        key=AggregateKey(tenant_id, domain, aggregate_id),
        position=Position(position),
        attempts=attempts,
        since=since,
        next_attempt_at=next_attempt_at,
        incident=incident,
        waiting=waiting,
    )
