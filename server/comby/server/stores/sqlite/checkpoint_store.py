"""Checkpoints and waiting keys in SQLite."""

from collections.abc import Sequence

import apsw

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
        names = {"name": consumer.name, "generation": consumer.generation}
        values = {
            **names,
            "version": consumer.version,
            "live": consumer.live,
            "position": consumer.position,
            "since": consumer.since,
        }

        def insert(connection: apsw.Connection) -> Consumer:
            connection.execute(self._session.sql["insert_consumer"], values)
            return _consumer(*connection.execute(self._session.sql["get_consumer"], names).get)

        return await self._session.write(lambda writer: writer.change_consumers(insert))

    async def switch(self, name: str, *, generation: int) -> None:
        names = {"name": name, "generation": generation}

        def replace(connection: apsw.Connection) -> None:
            connection.execute(self._session.sql["set_live_consumer"], names)
            if connection.changes():
                connection.execute(self._session.sql["delete_other_consumers"], names)

        await self._session.write(lambda writer: writer.change_consumers(replace))

    async def delete(self, name: str, *, generation: int) -> None:
        names = {"name": name, "generation": generation}

        def remove(connection: apsw.Connection) -> None:
            connection.execute(self._session.sql["delete_consumer"], names)

        await self._session.write(lambda writer: writer.change_consumers(remove))

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
