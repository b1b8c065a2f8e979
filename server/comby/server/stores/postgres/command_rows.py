"""Stored commands as the rows of `sql/*commands*.sql`, which all have the same columns."""

from collections.abc import Collection, Sequence

import asyncpg

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, StoredCommand
from comby.server.stores.postgres.text import escaped_all, unescaped


def key_arguments(keys: Collection[CommandKey]) -> tuple[Sequence[str], Sequence[str]]:
    """Return keys as two arrays."""
    return escaped_all([key.tenant_id for key in keys]), escaped_all([key.request_id for key in keys])


def read_commands(rows: Sequence[asyncpg.Record]) -> list[StoredCommand]:
    """Return the commands of rows."""
    return [_command(*row) for row in rows]


def _command(
    tenant_id: str,
    request_id: str,
    domain: str,
    aggregate_id: str,
    accept_seq: int,
    partition: int,
    type_name: str,
    expected_version: int | None,
    not_before: int | None,
    status: str,
    attempts: int,
    accepted_at: int,
    finished_at: int | None,
    version: int,
    position: int,
    fingerprint: bytes,
    context: bytes,
    outcome: bytes,
    command: bytes | None,
) -> StoredCommand:
    tenant_id = unescaped(tenant_id)
    return StoredCommand(
        key=CommandKey(tenant_id, unescaped(request_id)),
        aggregate=AggregateKey(tenant_id, unescaped(domain), unescaped(aggregate_id)),
        accept_seq=accept_seq,
        partition=partition,
        fingerprint=fingerprint,
        type=unescaped(type_name),
        command=command,
        context=context,
        expected_version=None if expected_version is None else Version(expected_version),
        not_before=not_before,
        status=CommandStatus(status),
        attempts=attempts,
        accepted_at=accepted_at,
        finished_at=finished_at,
        version=Version(version),
        position=Position(position),
        outcome=outcome,
    )
