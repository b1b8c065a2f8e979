"""Numbered migrations: bring a file to this version of the schema, and refuse one that is newer or not ours."""

import time
from pathlib import Path

import apsw

from comby.server.ports.errors import StoreIncompatible
from comby.server.stores.sqlite.statements import folder, statement

APPLICATION_ID = 0x636F6D62  # "comb", in the header of the file


def refuse_incompatible(connection: apsw.Connection, path: Path) -> None:
    """Raise StoreIncompatible for a store of a newer comby, and for a file of something else."""
    stored = stored_version(connection, path)
    if stored > newest_version():
        raise StoreIncompatible(
            f"{path} has schema version {stored}, and this comby knows {newest_version()}: a newer one wrote it"
        )


def migrate(connection: apsw.Connection) -> None:
    """Apply the migrations that are missing, each in one transaction."""
    stored = _version(connection)
    for version, sql in _steps():
        if version > stored:
            with connection:
                connection.pragma("application_id", APPLICATION_ID)
                connection.execute(sql)
                connection.execute(
                    statement("insert_schema_version"), {"version": version, "applied_at": time.time_ns() // 1000}
                )


def stored_version(connection: apsw.Connection, path: Path) -> int:
    """Return the schema version of a file; 0 for an empty one.

    Raises StoreIncompatible for a file of something else.
    """
    try:
        version = _version(connection)
        if version or not connection.execute(statement("count_tables")).get:
            return version
    except apsw.NotADBError:
        raise StoreIncompatible(f"{path} is not a database of SQLite") from None
    raise StoreIncompatible(f"{path} is a database, but not a store of comby")


def _version(connection: apsw.Connection) -> int:
    if connection.pragma("application_id") != APPLICATION_ID:
        return 0
    return int(connection.execute(statement("schema_version")).get)


def newest_version() -> int:
    """Return the schema version that this comby writes."""
    return _steps()[-1][0]


def _steps() -> list[tuple[int, str]]:
    return [(int(name.split("_")[0]), sql) for name, sql in folder("migrations")]
