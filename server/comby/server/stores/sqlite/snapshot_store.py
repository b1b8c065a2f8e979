"""Snapshots in SQLite."""

from comby.server.domain.identity import AggregateKey, Version
from comby.server.ports.snapshot_store import Snapshot, SnapshotStore
from comby.server.stores.sqlite.session import Session


class SqliteSnapshotStore(SnapshotStore):
    """Keeps the states of one stamp for each aggregate."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def load(self, key: AggregateKey, *, stamp: str, up_to: Version | None = None) -> Snapshot | None:
        row = await self._session.row("load_snapshot", {**_names(key), "stamp": stamp, "up_to": up_to})
        return Snapshot(key=key, version=Version(row[0]), stamp=stamp, state=row[1]) if row else None

    async def save(self, snapshot: Snapshot) -> None:
        await self._session.writing.upkeep(
            "save_snapshot", *snapshot.key, snapshot.version, snapshot.stamp, snapshot.state
        )


def _names(key: AggregateKey) -> dict[str, str]:
    return {
        "tenant_id": key.tenant_id,
        "domain": key.domain,
        "aggregate_id": key.aggregate_id,
    }
