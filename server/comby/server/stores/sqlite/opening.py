"""Opens a file for writing: refuses what is not ours, brings the schema to its newest version, and notes that the store is in use."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from comby.server.domain.identity import LogIdentity
from comby.server.stores.sqlite.connection import configure_writer, create_views, open_writer
from comby.server.stores.sqlite.migrations import migrate, refuse_incompatible
from comby.server.stores.sqlite.statements import Statements
from comby.server.stores.sqlite.writer import Writer


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A writer, the log that it writes, and whether the store was not closed in order the last time."""

    writer: Writer
    identity: LogIdentity
    unclean: bool


def open_for_writing(path: Path, *, durable: bool) -> Opened:
    """Open the writer of a file. Raises StoreIncompatible, and the errors of SQLite."""
    statements = Statements()
    connection = open_writer(path)
    try:
        refuse_incompatible(connection, path)
        configure_writer(connection, path, durable=durable)
        migrate(connection)
        identity = {"log_id": str(uuid.uuid4()), "incarnation": str(uuid.uuid4())}
        connection.execute(statements["insert_log"], identity)
        log_id, incarnation, clean = connection.execute(statements["identify"]).get
        connection.execute(statements["mark_clean"], {"clean": False})
        create_views(connection)
        return Opened(
            writer=Writer(connection, path, statements),
            identity=LogIdentity(log_id, incarnation),
            unclean=not clean,
        )
    except BaseException:
        connection.close()
        raise
