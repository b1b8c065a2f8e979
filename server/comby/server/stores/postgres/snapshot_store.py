"""Snapshots in PostgreSQL."""

from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.snapshot_store import Snapshot, SnapshotStore
from comby.server.stores.postgres.session import Session
from comby.server.stores.postgres.text import escaped


class PostgresSnapshotStore(SnapshotStore):
    """Keeps the states of one stamp for each aggregate."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def load(self, key: AggregateKey, *, stamp: str, up_to: Version | None = None) -> Snapshot | None:
        row = await self._session.row("load_snapshot", *map(escaped, key), escaped(stamp), up_to)
        return Snapshot(key=key, version=Version(row[0]), stamp=stamp, state=row[1]) if row else None

    async def save(self, snapshot: Snapshot) -> None:
        names = map(escaped, snapshot.key)
        await self._session.row("save_snapshot", *names, snapshot.version, escaped(snapshot.stamp), snapshot.state)
