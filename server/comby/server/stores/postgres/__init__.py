"""The stores in PostgreSQL, for one instance or many."""

from comby.server.stores.postgres.store import open_postgres

__all__ = ["open_postgres"]
