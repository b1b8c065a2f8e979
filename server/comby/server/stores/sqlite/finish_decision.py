"""Commands that end, with everything that they cause: the transaction at the heart of the service."""

from comby.server.domain.identity import CommandKey, Position, Version
from comby.server.ports.command_store import CommandStatus, NewCommand
from comby.server.ports.contradictions import versions_after
from comby.server.ports.elements import element
from comby.server.ports.event_store import (
    CommandKnown,
    CommandNotOpen,
    Committed,
    FinishCommand,
    VersionConflict,
    Violation,
)
from comby.server.stores.sqlite.command_decisions import insert, not_open
from comby.server.stores.sqlite.plan import Changes, Plan


def finish(plan: Plan, write: FinishCommand) -> Committed | CommandKnown | CommandNotOpen | VersionConflict:
    """Move a command to its end, append its events and write its rows, or say why not.

    Raises ValueError for a request that contradicts itself, which is a bug of the caller.
    """
    versions_after(write)
    entry = plan.commands.get(write.command if isinstance(write.command, CommandKey) else write.command.key)
    match write.command:
        case NewCommand():
            if entry is not None:
                return CommandKnown(plan.stored(entry))
        case CommandKey():
            if entry is None or entry.status is not CommandStatus.ACCEPTED:
                return not_open(plan, entry)
    violations = _violations(plan, write)
    if violations:
        return VersionConflict(violations)
    last = _append(plan, write)
    _end_command(plan, write, last)
    for state in write.states:
        plan.change_row(state)
    return Committed(last, plan.now)


def _violations(plan: Plan, write: FinishCommand) -> tuple[Violation, ...]:
    found = [(check, plan.guard(check.key)[0]) for check in write.checks]
    return tuple(
        [Violation(check.key, check.version, Version(actual)) for check, actual in found if check.version != actual]
    )


def _append(plan: Plan, write: FinishCommand) -> Position:
    last = Position(0)
    for event in write.events:
        last = plan.next_position()
        plan.guards[event.key] = (event.version, plan.guard(event.key)[1])
        whole, start = element(event.record, last, plan.time)
        plan.batch.add(
            "append_event",
            (
                last,
                *event.key,
                event.version,
                event.type,
                plan.now,
                event.request_id,
                start,
                len(event.record),
                whole,
            ),
        )
    for key in write.closes:
        plan.guards[key] = (plan.guard(key)[0], True)
    return last


def _end_command(plan: Plan, write: FinishCommand, last: Position) -> None:
    ended: Changes = {
        "status": write.status,
        "finished_at": plan.now,
        "version": write.version,
        "position": last,
        "outcome": write.outcome,
    }
    match write.command:
        case NewCommand() as new:
            insert(plan, new, write.status, ended)
        case CommandKey() as key:
            entry = plan.commands[key]
            row = (write.status.value, plan.now, write.version, last, write.outcome, entry.accept_seq)
            plan.batch.add("finish_command", row)
            entry.move(ended)
