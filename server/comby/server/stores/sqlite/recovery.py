"""What became of requests that are stored, and whose verdicts were lost with the process that wrote them.

A command that was stored is told as one that was known already, with its outcome: that is what its caller is answered with.
"""

from comby.server.domain.identity import CommandKey, Position
from comby.server.ports.checkpoint_store import AdvanceConsumer, Advanced, CheckpointMoved
from comby.server.ports.command_store import CommandStatus
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    CommandKnown,
    CommandMoved,
    CommandNotOpen,
    CommandStarted,
    FinishCommand,
    Refreshed,
    RefreshState,
    RetryCommand,
    StartCommand,
    Verdict,
    VersionConflict,
    Write,
)
from comby.server.stores.sqlite.command_decisions import not_open
from comby.server.stores.sqlite.plan import CommandEntry, Plan

REFUSED = VersionConflict(())
"""A finish that left nothing: whoever asked decides again, on fresh state."""


def recovered(plan: Plan, write: Write) -> Verdict:
    """Return the verdict of a request of the last batch; the plan stands after it."""
    match write:
        case FinishCommand(command=CommandKey() as key):
            return _finished(plan, plan.commands.get(key))
        case FinishCommand(command=new) | AcceptCommand(command=new):
            entry = plan.commands.get(new.key)  # type: ignore[union-attr]  # a key was met above
            return REFUSED if entry is None else CommandKnown(plan.stored(entry))
        case StartCommand(key=key):
            entry = plan.commands.get(key)
            started = entry is not None and entry.status is CommandStatus.ACCEPTED
            return CommandStarted(entry.attempts) if entry and started else not_open(plan, entry)
        case CancelCommand(key=key):
            return _moved(plan, plan.commands.get(key), CommandStatus.CANCELLED)
        case RetryCommand(key=key):
            return _moved(plan, plan.commands.get(key), CommandStatus.ACCEPTED)
        case RefreshState():
            return Refreshed(plan.guard(write.key)[0] == write.version)
        case AdvanceConsumer():
            return _advanced(plan, write)


def _finished(plan: Plan, entry: CommandEntry | None) -> CommandNotOpen | VersionConflict:
    still_open = entry is not None and entry.status is CommandStatus.ACCEPTED
    return REFUSED if still_open else not_open(plan, entry)


def _moved(plan: Plan, entry: CommandEntry | None, to: CommandStatus) -> CommandMoved | CommandNotOpen:
    if entry is not None and entry.status is to:
        return CommandMoved(plan.stored(entry))
    return not_open(plan, entry)


def _advanced(plan: Plan, write: AdvanceConsumer) -> Advanced | CheckpointMoved:
    actual = plan.consumers.get((write.name, write.generation))
    if actual == write.after:
        return Advanced()
    return CheckpointMoved(None if actual is None else Position(actual))
