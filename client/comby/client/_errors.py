"""The errors of the SDK below their root: one class for each thing that a caller may do about it."""

from comby.client._outcome import CombyError


class InvalidArgument(CombyError):
    """The request is wrong, and stays wrong: see `violations`."""


class Unauthenticated(CombyError):
    """The credentials are missing or not valid."""


class PermissionDenied(CombyError):
    """The caller may not do this."""


class Unimplemented(CombyError):
    """The server does not serve this RPC: the contracts differ."""


class NotFound(CombyError):
    """No such aggregate, command or consumer in the tenant."""


class AlreadyExists(CombyError):
    """The aggregate exists, or the request id belongs to another command."""


class Aborted(CombyError):
    """Something came between."""


class VersionConflict(Aborted):
    """The aggregate is not at the expected version: read it, decide again, send a new command."""

    @property
    def expected(self) -> int:
        return int(self.metadata.get("expected", 0))

    @property
    def actual(self) -> int:
        return int(self.metadata.get("actual", 0))


class CommandCancelled(Aborted):
    """The command was given up before it was executed."""


class FailedPrecondition(CombyError):
    """The state does not allow it."""


class Rejected(FailedPrecondition):
    """A rule of the domain refused the command; `reason` is the domain's own."""


class LogReplaced(FailedPrecondition):
    """The position is of another log, or from before a restore: discard what was derived, begin anew."""


class Lagging(FailedPrecondition):
    """The read models did not cover the consistency token in time."""


class OutOfRange(CombyError):
    """The position or token is beyond the log's end."""


class Overloaded(CombyError):
    """A limit is reached and nothing was stored: retry after `retry_delay`."""


class Unavailable(CombyError):
    """The server can not be reached, stops, or can not write: retry with the same request id."""


class DeadlineExceeded(CombyError):
    """The call took too long; a command may be executed all the same: ask with the same request id."""


class InternalError(CombyError):
    """Unexpected: report `incident`."""


class CommandParked(InternalError):
    """The command's handler failed on every attempt; an operator may retry or cancel it."""
