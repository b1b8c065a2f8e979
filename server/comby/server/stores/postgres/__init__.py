"""The stores in PostgreSQL, for one instance or many, and the broker that its notifications are."""

from comby.server.stores.postgres.broker import PostgresBroker, open_postgres_broker
from comby.server.stores.postgres.store import PostgresStore, open_postgres, renew_incarnation
from comby.server.stores.postgres.vacuum import HeldBack

__all__ = [
    "HeldBack",
    "PostgresBroker",
    "PostgresStore",
    "open_postgres",
    "open_postgres_broker",
    "renew_incarnation",
]
