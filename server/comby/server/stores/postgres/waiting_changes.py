"""The changes of waiting keys in a batch, as one argument of `comby.append`: they are rare, so as JSON."""

import orjson

from comby.server.ports.checkpoint_store import JoinWaiting, LeaveWaiting, PutWaiting
from comby.server.stores.postgres.text import escaped


class WaitingChanges:
    """Collects changes, in their order."""

    def __init__(self) -> None:
        self._changes: list[dict[str, str | int | None]] = []

    def add(self, request: int, change: PutWaiting | JoinWaiting | LeaveWaiting) -> None:
        """Add what a request changes."""
        details: dict[str, str | int | None]
        match change:
            case PutWaiting(key=waiting):
                reactor, key, position = waiting.reactor, waiting.key, waiting.position
                details = {
                    "kind": "put",
                    "attempts": waiting.attempts,
                    "since": waiting.since,
                    "next": waiting.next_attempt_at,
                    "incident": escaped(waiting.incident),
                }
            case JoinWaiting(reactor=reactor, key=key, position=position):
                details = {"kind": "join", "attempts": 0, "incident": ""}
            case LeaveWaiting(reactor=reactor, key=key, position=position):
                details = {"kind": "leave"}
        self._changes.append(
            {
                "request": request,
                "reactor": escaped(reactor),
                "tenant": escaped(key.tenant_id),
                "domain": escaped(key.domain),
                "id": escaped(key.aggregate_id),
                "position": position,
                **details,
            }
        )

    def as_json(self) -> str:
        """Return the argument; empty where nothing changes."""
        return orjson.dumps(self._changes).decode() if self._changes else ""
