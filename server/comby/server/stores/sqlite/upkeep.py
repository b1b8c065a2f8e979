"""Writes that need no decision and touch nothing of what the writer remembers of commands: each may be done twice."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import apsw

from comby.server.stores.sqlite.statements import Statements

Plain: TypeAlias = str | bytes | int | tuple["Plain", ...] | None
"""What can be sent to another process as it is."""
Upkeep: TypeAlias = Literal["save_snapshot", "forget_commands", "create_consumer", "switch_consumer", "delete_consumer"]


def _save_snapshot(connection: apsw.Connection, sql: Statements, *values: Plain) -> None:
    """(tenant, domain, id, version, stamp, state)"""
    tenant_id, domain, aggregate_id, _, stamp, _ = values
    connection.execute(sql["save_snapshot"], values)
    connection.execute(sql["delete_other_snapshots"], (tenant_id, domain, aggregate_id, stamp))


def _forget_commands(connection: apsw.Connection, sql: Statements, *values: Plain) -> int:
    """(finished before, limit) → how many"""
    connection.execute(sql["forget_commands"], values)
    return connection.changes()


def _create_consumer(connection: apsw.Connection, sql: Statements, *values: Plain) -> Plain:
    """(name, generation, version, live, position, since) → the same, as stored"""
    connection.execute(sql["insert_consumer"], values)
    stored: Plain = connection.execute(sql["get_consumer"], values[:2]).get
    return stored


def _switch_consumer(connection: apsw.Connection, sql: Statements, *values: Plain) -> None:
    """(name, generation)"""
    connection.execute(sql["set_live_consumer"], values)
    if connection.changes():
        connection.execute(sql["delete_other_consumers"], values)


def _delete_consumer(connection: apsw.Connection, sql: Statements, *values: Plain) -> None:
    """(name, generation)"""
    connection.execute(sql["delete_consumer"], values)


UPKEEP: Mapping[Upkeep, Callable[..., Plain]] = {
    "save_snapshot": _save_snapshot,
    "forget_commands": _forget_commands,
    "create_consumer": _create_consumer,
    "switch_consumer": _switch_consumer,
    "delete_consumer": _delete_consumer,
}
