"""Commands that are accepted, started, cancelled or retried."""

from comby.server.domain.identity import Position, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    CommandAccepted,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    RetryCommand,
    StartCommand,
)
from comby.server.stores.sqlite.plan import CommandEntry, Plan


def accept(plan: Plan, write: AcceptCommand) -> CommandAccepted | CommandKnown:
    """Store a command as accepted, unless its key is known."""
    known = plan.commands.get(write.command.key)
    if known is not None:
        return CommandKnown(plan.stored(known))
    entry = insert(plan, write.command, status=CommandStatus.ACCEPTED)
    return CommandAccepted(entry.accept_seq, plan.now)


def start(plan: Plan, write: StartCommand) -> CommandStarted | CommandNotOpen:
    """Count an attempt."""
    entry = plan.commands.get(write.key)
    if entry is None or entry.status is not CommandStatus.ACCEPTED:
        return not_open(plan, entry)
    entry.move({"attempts": entry.attempts + 1})
    plan.batch.add("start_command", (entry.attempts, entry.accept_seq))
    return CommandStarted(entry.attempts)


def cancel(plan: Plan, write: CancelCommand) -> CommandMoved | CommandNotOpen:
    """Cancel a command that has not begun, or that is parked."""
    entry = plan.commands.get(write.key)
    if entry is None or not _cancellable(entry):
        return not_open(plan, entry)
    entry.move(
        {
            "status": CommandStatus.CANCELLED,
            "finished_at": plan.now,
            "outcome": write.outcome,
        }
    )
    plan.batch.add("cancel_command", (plan.now, write.outcome, entry.accept_seq))
    return CommandMoved(plan.stored(entry))


def retry(plan: Plan, write: RetryCommand) -> CommandMoved | CommandNotOpen:
    """Open a parked command again, at the tail."""
    entry = plan.commands.get(write.key)
    if entry is None or entry.status is not CommandStatus.PARKED:
        return not_open(plan, entry)
    tail = plan.next_accept_seq()
    plan.batch.add("retry_command", (tail, entry.accept_seq))
    entry.move(
        {
            "accept_seq": tail,
            "status": CommandStatus.ACCEPTED,
            "attempts": 0,
            "finished_at": None,
            "version": Version(0),
            "position": Position(0),
            "outcome": b"",
        }
    )
    return CommandMoved(plan.stored(entry))


def insert(
    plan: Plan,
    new: NewCommand,
    *,
    status: CommandStatus,
    outcome: bytes = b"",
    finished_at: int | None = None,
    version: int = 0,
    position: int = 0,
) -> CommandEntry:
    """Store a command whose key is not known."""
    entry = CommandEntry(
        key=new.key,
        accept_seq=plan.next_accept_seq(),
        status=status,
        attempts=new.attempts,
        new=new,
    )
    plan.commands[new.key] = entry
    plan.batch.add(
        "insert_command",
        (
            entry.accept_seq,
            *new.key,
            new.aggregate.domain,
            new.aggregate.aggregate_id,
            new.partition,
            new.type,
            new.expected_version,
            new.not_before,
            status.value,
            new.attempts,
            plan.now,
            finished_at,
            version,
            position,
            new.fingerprint,
            new.context,
            outcome,
            new.command,
        ),
    )
    return entry


def not_open(plan: Plan, entry: CommandEntry | None) -> CommandNotOpen:
    """Refuse to move a command, and show it as it stands."""
    return CommandNotOpen(None if entry is None else plan.stored(entry))


def _cancellable(entry: CommandEntry) -> bool:
    match entry.status:
        case CommandStatus.PARKED:
            return True
        case CommandStatus.ACCEPTED:
            return entry.attempts == 0
        case _:
            return False
