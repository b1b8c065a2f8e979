"""The numbers that Python and `comby.append` (migrations/0008_append.sql) have in common."""

from comby.server.ports.command_store import CommandStatus

ACCEPT, START, FINISH, FINISH_NEW, CANCEL, RETRY, REFRESH, ADVANCE = range(1, 9)
"""The kinds of requests."""

COMMITTED, ACCEPTED, KNOWN, STARTED, NOT_OPEN, MOVED = range(1, 7)
CONFLICT, REFRESHED, ADVANCED, CHECKPOINT_MOVED, FENCED, BEHIND = range(7, 13)
"""The verdicts."""

STATUSES = (
    CommandStatus.ACCEPTED,
    CommandStatus.EXECUTED,
    CommandStatus.REJECTED,
    CommandStatus.PARKED,
    CommandStatus.CANCELLED,
)
"""The statuses of commands, from 1: their places in `comby.statuses()`."""

STATUS_NUMBERS = {status: number for number, status in enumerate(STATUSES, start=1)}
