"""Connections: how they are configured, for durability first."""

from pathlib import Path

import apsw

from comby.server.ports.errors import StoreIncompatible
from comby.server.stores.sqlite.statements import folder

BUSY_MILLISECONDS = 5_000  # only a backup, or an operator's shell, can be in the way
STATEMENTS_KEPT = 512
"""Each row of a batch takes a place of this ring, so that with fewer places a batch finds none of its statements prepared."""
CACHE_KIBIBYTES = 64 * 1024
READER_CACHE_KIBIBYTES = 16 * 1024
CHECKPOINT_PAGES = 4_000  # of 4 KiB: a rarer checkpoint writes a hot page once for more commits
MAPPED_BYTES = 0  # a mapped file turns an I/O error into a signal that ends the process


def open_writer(path: Path) -> apsw.Connection:
    """Open the connection that writes; creates the file, but changes nothing in one that exists."""
    connection = apsw.Connection(str(path), statementcachesize=STATEMENTS_KEPT)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    return connection


def configure_writer(connection: apsw.Connection, path: Path, *, durable: bool) -> None:
    """Have every commit on disk before it returns; unless the store is gone with the process anyway.

    Raises StoreIncompatible where the file system can not do it.
    """
    if connection.pragma("journal_mode", "wal") != "wal":
        raise StoreIncompatible(f"{path} lies on a file system that can not share memory, which WAL needs")
    connection.pragma("synchronous", "full" if durable else "off")
    connection.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    connection.pragma("cache_size", -CACHE_KIBIBYTES)
    connection.pragma("temp_store", "memory")
    connection.pragma("mmap_size", MAPPED_BYTES)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)


def open_reader(path: Path) -> apsw.Connection:
    """Open a connection that only reads."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    connection.pragma("cache_size", -READER_CACHE_KIBIBYTES)
    connection.pragma("temp_store", "memory")
    connection.pragma("mmap_size", MAPPED_BYTES)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    create_views(connection)
    return connection


def create_views(connection: apsw.Connection) -> None:
    """Add the views of this connection; needs the migrated schema."""
    for _, sql in folder("views"):
        connection.execute(sql)
