"""Requests on their way to SQLite's writer arrive as they were sent."""

import marshal
from dataclasses import replace

import pytest

from comby.server.domain.identity import AggregateKey, CommandKey, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import FinishCommand, NewEvent, VersionCheck
from comby.server.ports.read_model_store import PutRow
from comby.server.stores.sqlite.wire_writes import pack_write, unpack_write

KEY, OTHER = AggregateKey("a", "Bank", "1"), AggregateKey("a", "Bank", "2")
COMMAND = NewCommand(CommandKey("a", "r"), KEY, 7, b"f", "Bank.Open", b"payload", b"context", Version(3), 99, 2)
CHECK = VersionCheck(KEY, Version(3))
EVENT = NewEvent(KEY, Version(4), "Bank.Opened", "r", b"record")
ROW = PutRow("Bank", "a", "1", b"row", {"owner": "x"}, "stamp", Version(4))
ONE = FinishCommand(COMMAND, CommandStatus.EXECUTED, b"o", Version(4), (CHECK,), (EVENT,), frozenset(), (ROW,))


@pytest.mark.parametrize(
    "write",
    [
        ONE,
        replace(ONE, command=COMMAND.key),
        replace(
            ONE, status=CommandStatus.REJECTED, checks=(CHECK, VersionCheck(OTHER, Version(0))), events=(), states=()
        ),
        replace(ONE, checks=(CHECK, VersionCheck(OTHER, Version(1)))),
        replace(ONE, checks=(VersionCheck(OTHER, Version(3)),)),
        replace(ONE, events=(EVENT, replace(EVENT, version=Version(5)))),
        replace(ONE, events=(replace(EVENT, key=OTHER),)),
        replace(ONE, events=(replace(EVENT, request_id="other"),)),
        replace(ONE, states=(ROW, replace(ROW, key="2"))),
        replace(ONE, states=(replace(ROW, key="2"),)),
        replace(ONE, states=(replace(ROW, tenant_id="b"),)),
        replace(ONE, command=replace(COMMAND, key=CommandKey("b", "r"))),
        replace(ONE, command=replace(COMMAND, aggregate=OTHER)),
        replace(ONE, closes=frozenset([KEY])),
        replace(ONE, states=()),
        replace(ONE, checks=()),
    ],
)
def test_a_command_of_one_event_and_all_that_are_nearly_one(write: FinishCommand) -> None:
    """Seen failing: each of the conditions left out."""
    assert write == unpack_write(marshal.loads(marshal.dumps(pack_write(write))))
