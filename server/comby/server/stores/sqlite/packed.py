"""Pages that come as one row: a JSON array of items, each ending with its payloads' lengths, and those end to end."""

import json
from collections.abc import Iterator
from typing import TypeAlias

from comby.server.domain.identity import AggregateKey, CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, StoredCommand
from comby.server.ports.event_store import StoredEvent
from comby.server.ports.read_model_store import StoredRow

Item: TypeAlias = list[str | int | None]


def _unpacked(items: str, payloads: bytes | None, count: int) -> Iterator[tuple[Item, list[bytes | None]]]:
    rest = payloads or b""
    start = 0
    for item in json.loads(items):
        blobs: list[bytes | None] = []
        for length in item[-count:]:
            blobs.append(None if length is None else rest[start : start + length])
            start += length or 0
        yield item[:-count], blobs


def unpack_events(items: str, payloads: bytes | None) -> list[StoredEvent]:
    """Read a page made of `packed_events`."""
    return [_event(item, blobs) for item, blobs in _unpacked(items, payloads, 1)]


def unpack_commands(items: str, payloads: bytes | None) -> list[StoredCommand]:
    """Read a page made of `packed_commands`."""
    return [_command(item, blobs) for item, blobs in _unpacked(items, payloads, 4)]


def unpack_rows(items: str, payloads: bytes | None) -> list[tuple[str, StoredRow]]:
    """Read a page made of `packed_rows`: each row with its tenant."""
    return [_row(item, blobs) for item, blobs in _unpacked(items, payloads, 1)]


def _event(item: list, blobs: list) -> StoredEvent:  # type: ignore[type-arg]
    position, recorded_at, tenant_id, domain, aggregate_id, version, type_name, start, size = item
    return StoredEvent(
        position=Position(position),
        recorded_at=recorded_at,
        key=AggregateKey(tenant_id, domain, aggregate_id),
        version=Version(version),
        type=type_name,
        record=blobs[0][start : start + size],
    )


def _command(item: list, blobs: list) -> StoredCommand:  # type: ignore[type-arg]
    (
        tenant_id,
        request_id,
        domain,
        aggregate_id,
        accept_seq,
        partition,
        type_name,
        expected,
        not_before,
    ) = item[:9]
    status, attempts, accepted_at, finished_at, version, position = item[9:]
    fingerprint, context, outcome, command = blobs
    return StoredCommand(
        key=CommandKey(tenant_id, request_id),
        aggregate=AggregateKey(tenant_id, domain, aggregate_id),
        accept_seq=accept_seq,
        partition=partition,
        fingerprint=fingerprint,
        type=type_name,
        command=command,
        context=context,
        expected_version=None if expected is None else Version(expected),
        not_before=not_before,
        status=CommandStatus(status),
        attempts=attempts,
        accepted_at=accepted_at,
        finished_at=finished_at,
        version=Version(version),
        position=Position(position),
        outcome=outcome,
    )


def _row(item: list, blobs: list) -> tuple[str, StoredRow]:  # type: ignore[type-arg]
    tenant_id, key, stamp, version = item
    return tenant_id, StoredRow(key=key, row=blobs[0], stamp=stamp, version=Version(version))
