"""One call, as every transport presents it to the table."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import uuid_utils

from comby.server.application.errors import LimitExceeded
from comby.server.domain.context import RequestContext
from comby.server.rpc.metadata import CallMetadata, Keys, read_metadata

WAIT_MARGIN = 0.2
"""Seconds of a call's deadline that are kept for the answer's way back."""


@dataclass(slots=True)
class Call:
    """A call: what the transport knows of it, and what the table has read.

    `pairs` are the metadata as received. `deadline` is in seconds from the start, None without one. `actor_id` is the
    authenticated peer, empty for none. `connection` names the connection, where the method streams.
    `token` is what the trailing metadata tell as the consistency token.
    """

    path: str
    pairs: Iterable[tuple[str, str | bytes]]
    deadline: float | None = None
    actor_id: str = ""
    connection: str = ""
    metadata: CallMetadata = field(default_factory=CallMetadata)
    request_id: str = ""
    token: str = ""

    def read(self, keys: Keys) -> None:
        """Read the metadata, and give the call a request id if the caller gave none. Raises InvalidMetadata."""
        self.metadata = read_metadata(self.pairs, keys)
        self.request_id = self.metadata.request_id or new_request_id()

    def context(self) -> RequestContext:
        """Return who asks, in which tenant, and why."""
        metadata = self.metadata
        return RequestContext(
            tenant_id=metadata.tenant_id,
            actor_id=self.actor_id,
            correlation_id=metadata.correlation_id,
            causation_id=metadata.causation_id,
            traceparent=metadata.traceparent,
        )

    def wait_timeout(self, wanted: float | None, longest: float) -> float:
        """Return how long to wait: as long as wanted, at most `longest`, and so that the answer is back before the deadline."""
        timeout = longest if wanted is None else min(wanted, longest)
        if self.deadline is not None:
            timeout = min(timeout, self.deadline - WAIT_MARGIN)
        return max(timeout, 0.0)

    def trailing(self) -> tuple[tuple[str, str], ...]:
        """Return the trailing metadata of the answer or error."""
        if self.token:
            return (("comby-request-id", self.request_id), ("comby-consistency-token", self.token))
        return (("comby-request-id", self.request_id),)


def new_request_id() -> str:
    """Return a request id for a call that came without one: a UUIDv7."""
    return str(uuid_utils.uuid7())


def bounded(raw: bytes, allowed: int) -> bytes:
    """Return the message. Raises LimitExceeded when it is too large."""
    if len(raw) > allowed:
        raise LimitExceeded("message_bytes", allowed=allowed, actual=len(raw))
    return raw
