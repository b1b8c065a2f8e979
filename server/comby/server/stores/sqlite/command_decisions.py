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
from comby.server.stores.sqlite.plan import Changes, CommandEntry, Plan


def accept(plan: Plan, write: AcceptCommand) -> CommandAccepted | CommandKnown:
    """Store a command as accepted, unless its key is known."""
    known = plan.commands.get(write.command.key)
    if known is not None:
        return CommandKnown(plan.stored(known))
    entry = insert(plan, write.command, CommandStatus.ACCEPTED)
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


def insert(plan: Plan, new: NewCommand, status: CommandStatus, ended: Changes | None = None) -> CommandEntry:
    """Store a command whose key is not known: as accepted, or as `ended` tells."""
    values = ended or Changes()
    accept_seq = plan.next_accept_seq()
    entry = plan.commands[new.key] = CommandEntry(new.key, accept_seq, status, new.attempts, new, values)
    plan.batch.add(
        "insert_command",
        (
            accept_seq,
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
            values.get("finished_at"),
            values.get("version", 0),
            values.get("position", 0),
            new.fingerprint,
            new.context,
            values.get("outcome", b""),
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
