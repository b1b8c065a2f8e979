"""Requests of a batch on their way to the writer's process: nested tuples of what `marshal` knows, which costs a tenth of pickled objects."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from comby.server.domain.identity import AggregateKey, CommandKey
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    JoinWaiting,
    LeaveWaiting,
    PutWaiting,
    WaitingKey,
)
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    FinishCommand,
    NewEvent,
    RefreshState,
    RetryCommand,
    StartCommand,
    VersionCheck,
    Write,
)
from comby.server.ports.read_model_store import DeleteRow, PutRow

Packed: TypeAlias = tuple[Any, ...]
"""What stands for an object; its fields are in the order of the class."""

_STATUS: Mapping[str, CommandStatus] = {status.value: status for status in CommandStatus}
_NAMES: Mapping[CommandStatus, str] = {status: status.value for status in CommandStatus}


def pack_write(write: Write) -> Packed:
    """Return a request as tuples, the first item of which tells what it is."""
    match write:
        case FinishCommand():
            return _pack_one_event(write) or (
                "f",
                _pack_command(write.command),
                _NAMES[write.status],
                write.outcome,
                write.version,
                [(*check.key, check.version) for check in write.checks],
                [(*one.key, one.version, one.type, one.request_id, one.record) for one in write.events],
                [(*key,) for key in write.closes],
                [_pack_row(row) for row in write.states],
            )
        case StartCommand(key=key):
            return ("s", *key)
        case AcceptCommand(command=command):
            return ("a", _pack_command(command))
        case AdvanceConsumer():
            return (
                "p",
                write.name,
                write.generation,
                write.before,
                write.after,
                tuple([_pack_row(row) for row in write.rows]),
                tuple([_pack_waiting(change) for change in write.waiting]),
            )
        case RefreshState():
            return ("u", *write.key, write.version, _pack_row(write.state))
        case CancelCommand():
            return ("c", *write.key, write.outcome)
        case RetryCommand():
            return ("r", *write.key)


def unpack_write(packed: Packed) -> Write:
    """Return the request that tuples stand for."""
    return _UNPACK[packed[0]](*packed[1:])


def _pack_one_event(write: FinishCommand) -> Packed | None:
    """Return a command that is not stored yet and comes to one event as one flat tuple; None for any other.

    Nearly all are of this kind. What belongs to the one aggregate is told once: half the time on this side, and half on the other.
    """
    new = write.command
    if (
        type(new) is not NewCommand
        or len(write.events) != 1
        or len(write.states) != 1
        or len(write.checks) != 1
        or write.closes
    ):
        return None
    event, row, check = write.events[0], write.states[0], write.checks[0]
    aggregate = new.aggregate
    tenant_id, domain, aggregate_id = aggregate
    request_id = new.key.request_id
    if (
        event.key != aggregate
        or check.key != aggregate
        or row.key != aggregate_id
        or row.tenant_id != tenant_id
        or new.key.tenant_id != tenant_id
        or event.request_id != request_id
    ):
        return None
    return (
        "1",
        tenant_id,
        domain,
        aggregate_id,
        request_id,
        (
            new.partition,
            new.fingerprint,
            new.type,
            new.command,
            new.context,
            new.expected_version,
            new.not_before,
            new.attempts,
        ),
        _NAMES[write.status],
        write.outcome,
        write.version,
        check.version,
        event.version,
        event.type,
        event.record,
        row.model,
        row.row,
        row.fields,
        row.stamp,
        row.version,
    )


def _unpack_one_event(
    tenant_id: str,
    domain: str,
    aggregate_id: str,
    request_id: str,
    command: Packed,
    status: str,
    outcome: bytes,
    version: Any,
    before: Any,
    event_version: Any,
    event_type: str,
    record: bytes,
    model: str,
    row: bytes,
    fields: dict[str, str],
    stamp: str,
    row_version: Any,
) -> FinishCommand:
    key = AggregateKey(tenant_id, domain, aggregate_id)
    return FinishCommand(
        NewCommand(CommandKey(tenant_id, request_id), key, *command),
        _STATUS[status],
        outcome,
        version,
        (VersionCheck(key, before),),
        (NewEvent(key, event_version, event_type, request_id, record),),
        frozenset(),
        (PutRow(model, tenant_id, aggregate_id, row, fields, stamp, row_version),),
    )


def _pack_command(command: NewCommand | CommandKey) -> Packed:
    if isinstance(command, CommandKey):
        return (*command,)
    return (
        *command.key,
        *command.aggregate,
        command.partition,
        command.fingerprint,
        command.type,
        command.command,
        command.context,
        command.expected_version,
        command.not_before,
        command.attempts,
    )


def _unpack_command(packed: Packed) -> NewCommand:
    tenant_id, request_id, owner, domain, aggregate_id, *rest = packed
    return NewCommand(CommandKey(tenant_id, request_id), AggregateKey(owner, domain, aggregate_id), *rest)


def _unpack_finish(
    command: Packed,
    status: str,
    outcome: bytes,
    version: Any,
    checks: Packed,
    events: Packed,
    closes: Packed,
    states: Packed,
) -> FinishCommand:
    return FinishCommand(
        CommandKey(*command) if len(command) == 2 else _unpack_command(command),
        _STATUS[status],
        outcome,
        version,
        tuple([VersionCheck(AggregateKey(*key), at) for *key, at in checks]),
        tuple([NewEvent(AggregateKey(*event[:3]), *event[3:]) for event in events]),
        frozenset([AggregateKey(*key) for key in closes]),
        tuple([PutRow(*row) for row in states]),
    )


def _pack_row(row: PutRow | DeleteRow) -> Packed:
    if isinstance(row, DeleteRow):
        return (row.model, row.tenant_id, row.key)
    return (row.model, row.tenant_id, row.key, row.row, row.fields, row.stamp, row.version)


def _unpack_row(packed: Packed) -> PutRow | DeleteRow:
    if len(packed) == 3:
        model, tenant_id, key = packed
        return DeleteRow(model=model, tenant_id=tenant_id, key=key)
    return PutRow(*packed)


def _pack_waiting(change: PutWaiting | JoinWaiting | LeaveWaiting) -> Packed:
    match change:
        case PutWaiting(key=waiting):
            times = (waiting.since, waiting.next_attempt_at, waiting.incident, waiting.waiting)
            return ("put", waiting.reactor, *waiting.key, waiting.position, waiting.attempts, *times)
        case JoinWaiting():
            return ("join", change.reactor, *change.key, change.position)
        case LeaveWaiting():
            return ("leave", change.reactor, *change.key, change.position)


def _unpack_waiting(packed: Packed) -> PutWaiting | JoinWaiting | LeaveWaiting:
    kind, reactor, tenant_id, domain, aggregate_id, position, *rest = packed
    key = AggregateKey(tenant_id, domain, aggregate_id)
    if kind == "join":
        return JoinWaiting(reactor=reactor, key=key, position=position)
    if kind == "leave":
        return LeaveWaiting(reactor=reactor, key=key, position=position)
    attempts, since, next_attempt_at, incident, waiting = rest
    return PutWaiting(
        key=WaitingKey(
            reactor=reactor,
            key=key,
            position=position,
            attempts=attempts,
            since=since,
            next_attempt_at=next_attempt_at,
            incident=incident,
            waiting=waiting,
        )
    )


def _unpack_advance(name: str, generation: int, before: Any, after: Any, rows: Packed, waiting: Packed) -> Write:
    return AdvanceConsumer(
        name=name,
        generation=generation,
        before=before,
        after=after,
        rows=tuple([_unpack_row(row) for row in rows]),
        waiting=tuple([_unpack_waiting(change) for change in waiting]),
    )


def _unpack_refresh(tenant_id: str, domain: str, aggregate_id: str, version: Any, state: Packed) -> Write:
    return RefreshState(key=AggregateKey(tenant_id, domain, aggregate_id), version=version, state=PutRow(*state))


_UNPACK: Mapping[str, Callable[..., Write]] = {
    "1": _unpack_one_event,
    "f": _unpack_finish,
    "s": lambda tenant_id, request_id: StartCommand(key=CommandKey(tenant_id, request_id)),
    "a": lambda command: AcceptCommand(command=_unpack_command(command)),
    "p": _unpack_advance,
    "u": _unpack_refresh,
    "c": lambda tenant_id, request_id, outcome: CancelCommand(key=CommandKey(tenant_id, request_id), outcome=outcome),
    "r": lambda tenant_id, request_id: RetryCommand(key=CommandKey(tenant_id, request_id)),
}
