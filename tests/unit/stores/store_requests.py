"""The few requests that tests of the SQLite store need."""

import uuid

from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import FinishCommand, NewEvent, VersionCheck


def append(aggregate_id: str, *, after: int = 0, record: bytes = b"r", command: bytes = b"c") -> FinishCommand:
    """Append one event to an aggregate at a version."""
    key = AggregateKey("acme", "Order", aggregate_id)
    new = NewCommand(
        key=CommandKey("acme", str(uuid.uuid4())),
        aggregate=key,
        partition=0,
        fingerprint=b"f",
        type="Order.PlaceOrder",
        command=command,
        context=b"",
        expected_version=None,
        not_before=None,
    )
    version = Version(after + 1)
    event = NewEvent(key=key, version=version, type="Order.Placed", request_id=new.key.request_id, record=record)
    return FinishCommand(
        command=new,
        status=CommandStatus.EXECUTED,
        outcome=b"",
        version=version,
        checks=(VersionCheck(key, Version(after)),),
        events=(event,),
    )
