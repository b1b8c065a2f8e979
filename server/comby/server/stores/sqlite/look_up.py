"""What a batch must know of what is stored before it is decided."""

from collections.abc import Mapping, Sequence

import apsw

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.event_store import FinishCommand, RefreshState, Write
from comby.server.stores.sqlite.decisions import command_key
from comby.server.stores.sqlite.memory import Guard, Memory
from comby.server.stores.sqlite.plan import CommandEntry
from comby.server.stores.sqlite.statements import Statements


def look_up(
    connection: apsw.Connection, sql: Statements, memory: Memory, writes: Sequence[Write]
) -> tuple[dict[CommandKey, CommandEntry], Mapping[AggregateKey, Guard]]:
    """Return the commands that the requests name and that are stored, and the versions of those aggregates that they check and that
    exist."""
    keys = {key for write in writes if (key := command_key(write)) is not None}
    aggregates = {key for write in writes for key in _aggregates(write)}
    commands: dict[CommandKey, CommandEntry] = {}
    if keys:
        for tenant_id, request_id, accept_seq, status, attempts in connection.executemany(sql["look_up_command"], keys):
            key = CommandKey(tenant_id, request_id)
            commands[key] = CommandEntry(key, accept_seq, CommandStatus(status), attempts)
    guards = {key: guard for key in aggregates if (guard := memory.guards.get(key)) is not None}
    if len(guards) < len(aggregates):
        for tenant_id, domain, aggregate_id, version, closed in connection.executemany(
            sql["look_up_aggregate"], aggregates - guards.keys()
        ):
            guards[AggregateKey(tenant_id, domain, aggregate_id)] = (version, bool(closed))
    return commands, guards


def _aggregates(write: Write) -> tuple[AggregateKey, ...]:
    match write:
        case FinishCommand():
            return tuple([check.key for check in write.checks])
        case RefreshState():
            return (write.key,)
        case _:
            return ()
