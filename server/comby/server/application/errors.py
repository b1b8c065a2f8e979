"""Every error that the facade raises itself, as one tree; the edge has the table from reason to status.

FacadeError
├── InvalidMessage · InvalidToken · UnknownType · LimitExceeded
├── AggregateNotFound · AggregateExists · VersionMismatch · BusinessRule
├── RequestIdReused · CommandNotFound · CommandNotParked · CommandFinished · CommandParked · CommandCancelled
├── Overloaded · Unavailable · ShuttingDown · Internal
├── PositionBeyondHead · LogReplaced · Lagging
└── ConsumerNotFound · RebuildRunning

`reason` is the name of an ErrorReason without its prefix, or, of a BusinessRule, the domain's own. Metadata are
documented there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comby.server.domain.identity import AggregateKey, LogIdentity, Position, Version
from comby.server.domain.rejections import Rejected

FACADE_DOMAIN = "comby.facade.v1"
RETRY_SECONDS = 0.25
"""What callers are told to wait when a queue is full or the store is away."""


class FacadeError(Exception):
    """Anything that a caller is told. It carries no text of its own: reason, domain and metadata say it all."""

    reason = "INTERNAL"
    domain = FACADE_DOMAIN

    def __init__(self, **metadata: str) -> None:
        super().__init__(self.reason)
        self.metadata: Mapping[str, str] = metadata


class StoredError(FacadeError):
    """The error of a stored outcome, as it was."""

    def __init__(self, reason: str, domain: str, metadata: Mapping[str, str]) -> None:
        super().__init__(**metadata)
        self.reason = reason
        self.domain = domain


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One broken rule: the field's path, the rule's id, and what it demands."""

    field: str
    rule: str
    description: str


class InvalidMessage(FacadeError):
    """The bytes are not the message, or break rules of it."""

    reason = "INVALID_MESSAGE"

    def __init__(self, type: str, violations: Sequence[FieldViolation] = ()) -> None:
        super().__init__(type=type)
        self.violations = violations


class InvalidToken(FacadeError):
    """A page token or consistency token is not one of this facade. `kind` is "page" or "consistency"."""

    reason = "INVALID_TOKEN"

    def __init__(self, kind: str) -> None:
        super().__init__(token=kind)


class UnknownType(FacadeError):
    """No such command, query, event, aggregate or domain is registered."""

    reason = "UNKNOWN_TYPE"

    def __init__(self, type: str) -> None:
        super().__init__(type=type[:256])


class LimitExceeded(FacadeError):
    """Something is larger than its limit."""

    reason = "LIMIT_EXCEEDED"

    def __init__(self, limit: str, *, allowed: int, actual: int) -> None:
        super().__init__(limit=limit, allowed=str(allowed), actual=str(actual))


class AggregateNotFound(FacadeError):
    """The aggregate does not exist in the tenant, or is closed. `aggregate` is its identifier."""

    reason = "AGGREGATE_NOT_FOUND"

    def __init__(self, aggregate: str, aggregate_id: str) -> None:
        super().__init__(aggregate=aggregate, aggregate_id=aggregate_id)


class AggregateExists(FacadeError):
    """A creating command names an aggregate that exists."""

    reason = "AGGREGATE_EXISTS"

    def __init__(self, aggregate: str, aggregate_id: str) -> None:
        super().__init__(aggregate=aggregate, aggregate_id=aggregate_id)


class VersionMismatch(FacadeError):
    """The aggregate is not at the version that the caller expects."""

    reason = "VERSION_CONFLICT"

    def __init__(self, key: AggregateKey, *, expected: Version, actual: Version) -> None:
        super().__init__(aggregate_id=key.aggregate_id, expected=str(expected), actual=str(actual))


class BusinessRule(FacadeError):
    """The domain refused."""

    def __init__(self, domain: str, rejected: Rejected) -> None:
        self.reason = rejected.reason
        self.domain = domain
        super().__init__(**rejected.metadata)


class RequestIdReused(FacadeError):
    """The request id belongs to another command; nothing of that command is shown."""

    reason = "REQUEST_ID_REUSED"

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id=request_id)


class CommandNotFound(FacadeError):
    """No command with this request id is known in the tenant."""

    reason = "COMMAND_NOT_FOUND"

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id=request_id)


class CommandNotParked(FacadeError):
    """Only a parked command can be retried."""

    reason = "COMMAND_NOT_PARKED"

    def __init__(self, request_id: str, stage: str) -> None:
        super().__init__(request_id=request_id, stage=stage)


class CommandFinished(FacadeError):
    """The command is begun or finished and can not be cancelled."""

    reason = "COMMAND_FINISHED"

    def __init__(self, request_id: str, stage: str) -> None:
        super().__init__(request_id=request_id, stage=stage)


class CommandParked(FacadeError):
    """The handler failed on every attempt."""

    reason = "COMMAND_PARKED"

    def __init__(self, *, incident: str, attempts: int) -> None:
        super().__init__(incident=incident, attempts=str(attempts))


class CommandCancelled(FacadeError):
    """The command was given up before it was executed."""

    reason = "COMMAND_CANCELLED"

    def __init__(self, request_id: str) -> None:
        super().__init__(request_id=request_id)


class Overloaded(FacadeError):
    """A limit of what may be open at once is reached; nothing was stored."""

    reason = "OVERLOADED"

    def __init__(self, limit: str, allowed: int) -> None:
        super().__init__(limit=limit, allowed=str(allowed))


class Unavailable(FacadeError):
    """The store can not be used now."""

    reason = "STORE_UNAVAILABLE"


class ShuttingDown(FacadeError):
    """The server stops."""

    reason = "SHUTTING_DOWN"


class Internal(FacadeError):
    """Unexpected; the cause is in the log under the incident."""

    reason = "INTERNAL"

    def __init__(self, incident: str) -> None:
        super().__init__(incident=incident)


class PositionBeyondHead(FacadeError):
    """The position or token is beyond the log's end."""

    reason = "POSITION_BEYOND_HEAD"

    def __init__(self, *, position: Position, head: Position) -> None:
        super().__init__(position=str(position), head=str(head))


class LogReplaced(FacadeError):
    """The position or token was taken from another log, or from before a restore. The metadata name the present log."""

    reason = "LOG_REPLACED"

    def __init__(self, present: LogIdentity) -> None:
        super().__init__(log_id=present.log_id, incarnation=present.incarnation)


class Lagging(FacadeError):
    """A read model did not cover the consistency token in time. `lag` counts positions."""

    reason = "LAGGING"

    def __init__(self, projection: str, lag: int) -> None:
        super().__init__(projection=projection, lag=str(lag))


class ConsumerNotFound(FacadeError):
    """No projection or reactor has this name, or no key of it waits."""

    reason = "CONSUMER_NOT_FOUND"

    def __init__(self, name: str) -> None:
        super().__init__(name=name[:128])


class RebuildRunning(FacadeError):
    """The projection is being rebuilt already."""

    reason = "REBUILD_RUNNING"

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
