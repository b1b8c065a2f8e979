"""The stores in one file of SQLite: the embedded default, made for one process."""

from comby.server.stores.sqlite.backup import backup, restore
from comby.server.stores.sqlite.store import open_sqlite

__all__ = ["backup", "open_sqlite", "restore"]
