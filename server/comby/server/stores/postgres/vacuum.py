"""What holds vacuum back: while an old snapshot stays, so do the dead rows behind whatever is written often, and commits become slow."""

from dataclasses import dataclass

from comby.server.stores.postgres.session import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack:
    """The oldest snapshot of a database. `seconds` is None where nobody knows since when, as for a replication slot."""

    holder: str
    transactions: int
    seconds: float | None


async def vacuum_held_back(session: Session) -> HeldBack | None:
    """Return the oldest snapshot, if there is any. Raises StoreUnavailable.

    Of other users' sessions it is seen by members of pg_read_all_stats only.
    """
    row = await session.row("vacuum_held_back")
    if row is None:
        return None
    return HeldBack(holder=row["holder"], transactions=row["transactions"], seconds=row["seconds"])
