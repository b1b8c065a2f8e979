"""When to try again, and after how long."""

import random
from dataclasses import dataclass

import grpc

from comby.client._outcome import CombyError


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and after how long to try again; times in seconds.

    Calls are tried `attempts` times, and never beyond their time-out. A subscription goes on for ever.
    """

    attempts: int = 5
    initial: float = 0.05
    maximum: float = 5.0

    def delay(self, failures: int, asked: float | None = None) -> float:
        """Return the pause after so many failures in a row: doubled each time, capped, at random in its upper half.

        What the server asks for is the least.
        """
        pause = min(self.maximum, self.initial * 2.0 ** min(failures - 1, 32))
        return max(asked or 0.0, 0.0) + pause * random.uniform(0.5, 1.0)


def may_retry(error: CombyError) -> bool:
    """Whether a query, or a command under the same request id, may be sent again.

    Not after DEADLINE_EXCEEDED: the caller's time is over. RESOURCE_EXHAUSTED without RetryInfo is a message too
    large, which stays too large.
    """
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return error.retry_delay is not None
    return error.code is grpc.StatusCode.UNAVAILABLE


_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.DATA_LOSS,
    }
)


def stream_may_heal(error: CombyError) -> bool:
    """Whether opening a stream anew may help.

    Here a broken connection has many faces (UNAVAILABLE, CANCELLED, INTERNAL, UNKNOWN), and opening anew is safe.
    """
    return error.code not in _FINAL
