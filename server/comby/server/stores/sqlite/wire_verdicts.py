"""Verdicts on their way back from the writer's process: tuples, as in `wire_writes`."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.checkpoint_store import Advanced, CheckpointMoved
from comby.server.ports.command_store import CommandStatus, StoredCommand
from comby.server.ports.event_store import (
    Behind,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    Committed,
    Fenced,
    Refreshed,
    Verdict,
    VersionConflict,
    Violation,
)
from comby.server.stores.sqlite.wire_writes import Packed

_REST = tuple(field.name for field in fields(StoredCommand) if field.name not in ("key", "aggregate", "status"))
"""The fields of a stored command that are sent as they are."""


def pack_verdict(verdict: Verdict) -> Packed:
    """Return a verdict as a tuple, the first item of which tells what it is."""
    match verdict:
        case Committed():
            return ("=", verdict.last, verdict.recorded_at)
        case CommandStarted():
            return ("s", verdict.attempts)
        case CommandAccepted():
            return ("a", verdict.accept_seq, verdict.accepted_at)
        case CommandKnown(stored):
            return ("k", _pack_stored(stored))
        case CommandMoved(stored):
            return ("m", _pack_stored(stored))
        case CommandNotOpen(stored):
            return ("n", None if stored is None else _pack_stored(stored))
        case VersionConflict(violations):
            return ("v", tuple([(*one.key, one.expected, one.actual) for one in violations]))
        case Refreshed(written):
            return ("r", written)
        case Advanced():
            return ("p",)
        case CheckpointMoved(actual):
            return ("c", actual)
        case Fenced():
            return ("e",)
        case Behind():
            return ("b",)


def unpack_verdict(packed: Packed) -> Verdict:
    """Return the verdict that a tuple stands for."""
    return _UNPACK[packed[0]](*packed[1:])


def _pack_stored(stored: StoredCommand) -> Packed:
    rest = [getattr(stored, name) for name in _REST]
    return (*stored.key, *stored.aggregate, stored.status.value, *rest)


def _unpack_stored(packed: Packed) -> StoredCommand:
    tenant_id, request_id, owner, domain, aggregate_id, status, *rest = packed
    values: dict[str, Any] = dict(zip(_REST, rest, strict=True))
    return StoredCommand(
        key=CommandKey(tenant_id, request_id),
        aggregate=AggregateKey(owner, domain, aggregate_id),
        status=CommandStatus(status),
        **values,
    )


def _unpack_conflict(violations: Packed) -> VersionConflict:
    return VersionConflict(
        tuple([Violation(AggregateKey(*key), expected, actual) for *key, expected, actual in violations])
    )


_UNPACK: Mapping[str, Callable[..., Verdict]] = {
    "=": Committed,
    "s": CommandStarted,
    "a": CommandAccepted,
    "k": lambda stored: CommandKnown(_unpack_stored(stored)),
    "m": lambda stored: CommandMoved(_unpack_stored(stored)),
    "n": lambda stored: CommandNotOpen(None if stored is None else _unpack_stored(stored)),
    "v": _unpack_conflict,
    "r": Refreshed,
    "p": Advanced,
    "c": CheckpointMoved,
    "e": Fenced,
    "b": Behind,
}
