"""What a database has to be for nothing acknowledged to be lost: looked at whenever the connection that commits is made."""

from comby.server.ports.errors import StoreIncompatible
from comby.server.stores.postgres.connection import Connection
from comby.server.stores.postgres.statements import statement

OLDEST_VERSION = 150_000
DURABLE_COMMITS = frozenset({"on", "remote_apply"})


async def check_server(connection: Connection) -> None:
    """Raise StoreIncompatible, with one line that tells the first thing that is wrong."""
    row = await connection.fetchrow(statement("describe_server"))
    assert row is not None
    if row["version"] < OLDEST_VERSION:
        raise StoreIncompatible(f"PostgreSQL {row['version'] // 10_000} is too old: the store needs 15 or newer")
    if row["encoding"] != "UTF8":
        raise StoreIncompatible(f"the encoding of the database is {row['encoding']}, and has to be UTF8")
    if row["read_only"]:
        raise StoreIncompatible("the database is read-only: a standby, or default_transaction_read_only is on")
    if row["synchronous_commit"] not in DURABLE_COMMITS:
        raise StoreIncompatible(
            f"synchronous_commit is {row['synchronous_commit']}, which loses acknowledged commands: set it to on"
        )
    for name in ("fsync", "full_page_writes"):
        if row[name] != "on":
            raise StoreIncompatible(
                f"{name} is {row[name]}, which loses acknowledged commands in a crash: set it to on"
            )
    if row["isolation"] != "read committed":
        raise StoreIncompatible(f"default_transaction_isolation is {row['isolation']}, and has to be read committed")
