"""Checkpoints that advance, together with rows and with the keys that wait for a reactor."""

from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.checkpoint_store import (
    AdvanceConsumer,
    Advanced,
    CheckpointMoved,
    JoinWaiting,
    LeaveWaiting,
    PutWaiting,
)
from comby.server.stores.sqlite.batch import Value
from comby.server.stores.sqlite.plan import Plan


def advance(plan: Plan, write: AdvanceConsumer) -> Advanced | CheckpointMoved:
    """Move a checkpoint from where the caller thinks that it stands."""
    consumer = (write.name, write.generation)
    actual = plan.consumers.get(consumer)
    if actual != write.before:
        return CheckpointMoved(None if actual is None else Position(actual))
    plan.consumers[consumer] = write.after
    if write.after != write.before:
        plan.batch.add("advance_consumer", (write.after, write.name, write.generation, write.before))
    for row in write.rows:
        plan.change_row(row)
    for change in write.waiting:
        _change_waiting(plan, change)
    return Advanced()


def _change_waiting(plan: Plan, change: PutWaiting | JoinWaiting | LeaveWaiting) -> None:
    match change:
        case PutWaiting(key=waiting):
            values: dict[str, Value] = {
                "position": waiting.position,
                "attempts": waiting.attempts,
                "since": waiting.since,
                "next_attempt_at": waiting.next_attempt_at,
                "incident": waiting.incident,
            }
            plan.batch.add("put_waiting", _names(waiting.reactor, waiting.key) | values)
        case JoinWaiting():
            plan.batch.add("join_waiting", _at(plan, change))
        case LeaveWaiting():
            plan.batch.add("leave_waiting", _at(plan, change))


def _at(plan: Plan, change: JoinWaiting | LeaveWaiting) -> dict[str, Value]:
    return _names(change.reactor, change.key) | {"position": change.position, "now": plan.now}


def _names(reactor: str, key: AggregateKey) -> dict[str, Value]:
    return {
        "reactor": reactor,
        "tenant_id": key.tenant_id,
        "domain": key.domain,
        "aggregate_id": key.aggregate_id,
    }
