"""What becomes of each request of a batch: the verdicts of `EventStore.commit`."""

from comby.server.domain.identity import CommandKey
from comby.server.ports.checkpoint_store import AdvanceConsumer
from comby.server.ports.command_store import NewCommand
from comby.server.ports.event_store import (
    AcceptCommand,
    CancelCommand,
    FinishCommand,
    Refreshed,
    RefreshState,
    RetryCommand,
    StartCommand,
    Verdict,
    Write,
)
from comby.server.stores.sqlite.command_decisions import accept, cancel, retry, start
from comby.server.stores.sqlite.consumer_decisions import advance
from comby.server.stores.sqlite.finish_decision import finish
from comby.server.stores.sqlite.plan import Plan


def decide(plan: Plan, write: Write) -> Verdict:
    """Answer one request, and plan what it writes."""
    match write:
        case FinishCommand():
            return finish(plan, write)
        case AcceptCommand():
            return accept(plan, write)
        case StartCommand():
            return start(plan, write)
        case CancelCommand():
            return cancel(plan, write)
        case RetryCommand():
            return retry(plan, write)
        case RefreshState():
            return _refresh(plan, write)
        case AdvanceConsumer():
            return advance(plan, write)


def command_key(write: Write) -> CommandKey | None:
    """Return the command that a request is about, if any."""
    match write:
        case FinishCommand(command=CommandKey() as key):
            return key
        case FinishCommand(command=NewCommand() as new) | AcceptCommand(command=new):
            return new.key
        case StartCommand() | CancelCommand() | RetryCommand():
            return write.key
        case _:
            return None


def _refresh(plan: Plan, write: RefreshState) -> Refreshed:
    version, _ = plan.guard(write.key)
    if version != write.version:
        return Refreshed(False)
    plan.change_row(write.state)
    return Refreshed(True)
