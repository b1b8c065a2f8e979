"""The instances that serve the log, and what they own, in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence

from comby.server.ports.instance_store import Holding, Instance, InstanceStore, Membership, Ownership, Taken
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped, escaped_all, unescaped

LEASE_SECONDS = 10.0
"""How old a heartbeat may be for `beat` to tell its instance as live, unless the store is opened with another lease."""


class PostgresInstanceStore(InstanceStore):
    """Heartbeats are on the database's clock, and owners change under the lock of the append."""

    def __init__(self, session: Session, *, lease: float) -> None:
        self._session = session
        self._lease = lease

    async def join(
        self, instance_id: str, *, address: str, eligible: bool, version: str, partitions: int, duties: Sequence[str]
    ) -> None:
        await self._session.row(
            "join_instance",
            escaped(instance_id),
            escaped(address),
            eligible,
            escaped(version),
            partitions,
            escaped_all(duties),
        )

    async def beat(self, instance_id: str) -> Membership:
        rows = await self._session.rows("beat", escaped(instance_id), _microseconds(self._lease))
        instances: list[Instance] = []
        holdings: dict[Holding, Ownership] = {}
        for name, address, eligible, version, started_at, heartbeat_at, live, *holding in rows:
            if name is None:
                partition, duty, owner, epoch = holding
                ownership = Ownership(None if owner is None else unescaped(owner), epoch)
                holdings[unescaped(duty) if partition is None else partition] = ownership
            else:
                instances.append(
                    Instance(
                        instance_id=unescaped(name),
                        address=unescaped(address),
                        eligible=eligible,
                        version=unescaped(version),
                        started_at=started_at,
                        heartbeat_at=heartbeat_at,
                        live=live,
                    )
                )
        return Membership(sorted(instances, key=lambda one: one.instance_id), holdings)

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


def _split(holdings: Collection[Holding]) -> tuple[list[int], list[str]]:
    return [one for one in holdings if isinstance(one, int)], [one for one in holdings if isinstance(one, str)]


def _microseconds(seconds: float) -> int:
    return int(seconds * 1_000_000)
