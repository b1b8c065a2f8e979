"""The numbers that Python and `comby.append` (migrations/0007_append.sql) have in common."""

from comby.server.ports.command_store import CommandStatus

ACCEPT, START, FINISH, FINISH_NEW, CANCEL, RETRY, REFRESH, ADVANCE = range(1, 9)
"""The kinds of requests."""

COMMITTED, ACCEPTED, KNOWN, STARTED, NOT_OPEN, MOVED, CONFLICT, REFRESHED, ADVANCED, CHECKPOINT_MOVED, FENCED = range(
    1, 12
)
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
