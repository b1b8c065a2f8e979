"""The instances that serve the log, and what they own, in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence

import asyncpg

from comby.server.ports.instance_store import Holding, Instance, InstanceStore, Membership, Ownership, Taken
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, escaped_all, unescaped
from comby.server.stores.postgres.vacuum import vacuum_held_back


class PostgresInstanceStore(InstanceStore):
    """Heartbeats are on the database's clock, and owners change under the lock of the append."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def join(
        self,
        instance_id: str,
        *,
        name: str,
        address: str,
        eligible: bool,
        version: str,
        partitions: int,
        duties: Sequence[str],
    ) -> None:
        await self._session.row(
            "join_instance",
            escaped(instance_id),
            escaped(name),
            escaped(address),
            eligible,
            escaped(version),
            partitions,
            escaped_all(duties),
        )

    async def beat(self, instance_id: str, *, lease: float) -> Membership:
        membership = _membership(await self._session.rows("beat", escaped(instance_id), _microseconds(lease)))
        # Somebody who comes meanwhile looks for himself every second until the next heartbeat.
        self._session.writer.overheard = not membership.alone(instance_id)
        return membership

    async def members(self, *, lease: float) -> Membership:
        return _membership(await self._session.rows("list_members", _microseconds(lease)))

    async def snapshot_age(self) -> float | None:
        held_back = await vacuum_held_back(self._session)
        return 0.0 if held_back is None else held_back.seconds

    async def take(self, instance_id: str, holdings: Collection[Holding], *, lease: float) -> Mapping[Holding, Taken]:
        partitions, duties = _split(holdings)
        rows = await self._session.rows(
            "take_holdings", escaped(instance_id), partitions, escaped_all(duties), _microseconds(lease)
        )
        return {
            unescaped(duty) if partition is None else partition: Taken(epoch, unclean)
            for partition, duty, epoch, unclean in rows
        }

    async def release(self, instance_id: str, holdings: Mapping[Holding, int]) -> None:
        partitions, duties = _split(holdings)
        await self._session.row(
            "release_holdings",
            escaped(instance_id),
            partitions,
            [holdings[partition] for partition in partitions],
            escaped_all(duties),
            [holdings[duty] for duty in duties],
        )

    async def leave(self, instance_id: str) -> None:
        await self._session.row("leave_instance", escaped(instance_id))


def _membership(rows: Sequence[asyncpg.Record]) -> Membership:
    instances: list[Instance] = []
    holdings: dict[Holding, Ownership] = {}
    for row in rows:
        if row["instance_id"] is None:
            duty, owner = row["duty"], row["owner"]
            holding = row["partition"] if duty is None else unescaped(duty)
            holdings[holding] = Ownership(None if owner is None else unescaped(owner), row["epoch"])
        else:
            instances.append(_instance(row))
    return Membership(sorted(instances, key=lambda one: one.started_at), holdings)


def _instance(row: asyncpg.Record) -> Instance:
    return Instance(
        instance_id=unescaped(row["instance_id"]),
        name=unescaped(row["name"]),
        address=unescaped(row["address"]),
        eligible=row["eligible"],
        version=unescaped(row["version"]),
        started_at=row["started_at"],
        heartbeat_at=row["heartbeat_at"],
        live=row["live"],
    )


def _split(holdings: Collection[Holding]) -> tuple[list[int], list[str]]:
    return [one for one in holdings if isinstance(one, int)], [one for one in holdings if isinstance(one, str)]


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
