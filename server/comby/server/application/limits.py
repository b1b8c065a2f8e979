"""Every limit of the facade, with its number. Sizes are bytes, times are seconds."""

from dataclasses import dataclass

MIB = 1024 * 1024
DEFAULT_PAGE = 100
"""Rows of a page when the caller does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What may be open, large or long at most; every field has a setting of the same name."""

    message_bytes: int = 4 * MIB
    """A message on the wire."""
    event_bytes: int = MIB
    """An event as stored: above a client's default message limit it could never be delivered."""
    events_per_command: int = 1000
    """Events that one command may record."""
    open_commands_per_tenant: int = 10_000
    """Commands of one tenant that are accepted and not finished."""
    open_commands: int = 50_000
    """Commands of all tenants that are accepted and not finished."""
    claimed_commands: int = 2_000
    """Accepted commands that wait in memory; the others wait in the store."""
    commit_batch: int = 512
    """Requests in one transaction."""
    commit_batch_bytes: int = 8 * MIB
    """Events in one transaction."""
    attempts: int = 5
    """Starts of a command before it is parked."""
    accept_after: float = 0.05
    """How long a waited command may be queued before it is accepted durably after all."""
    suspicion: float = 60.0
    """How long after an unclean start every command is accepted durably before it is executed."""
    longest_wait: float = 10.0
    """How long a call may wait for a stage."""
    longest_consistency_wait: float = 5.0
    """How long a query may wait for its read models."""
    handler_interrupt: float = 2.0
    """When a handler that holds the event loop is interrupted."""
    handler_abort: float = 10.0
    """When the process ends because a handler can not be interrupted."""
    handler_timeout: float = 10.0
    """How long an async handler may take."""
    idempotency_window: float = 7 * 24 * 3600.0
    """How long the payload of a finished command is kept."""
    cached_aggregates: int = 20_000
    """Aggregates whose state is kept in memory."""
    cached_bytes: int = 128 * MIB
    """Memory for their states, as serialized."""
    snapshot_every: int = 100
    """Versions between two snapshots of an aggregate."""
    page_size: int = 1000
    """Rows of a page at most."""
    batch_events: int = 2_000
    """Events in one message of a stream."""
    batch_bytes: int = MIB
    """Bytes in one message of a stream."""
    tail_events: int = 10_000
    """Recent events kept in memory for those who follow the log."""
    tail_bytes: int = 16 * MIB
    """Memory for them."""
    subscriptions: int = 5_000
    """Endless streams open at once."""
    pending_calls: int = 2_000
    """Calls in the server at once."""
    streams_per_connection: int = 1_000
    """Calls and streams of one connection at once."""
    pipeline_in_flight: int = 10_000
    """Commands of one pipeline that are not answered yet."""
    heartbeat: float = 1.0
    """How often an instance tells the others that it is there."""
    lease: float = 5.0
    """After what silence of an instance others take over what it owns."""
    reactor_concurrency: int = 16
    """Aggregates whose events one reactor handles at once."""

    def page(self, asked: int) -> int:
        """Return the rows of a page: what was asked for, 0 for the default, and no more than `page_size`."""
        return min(asked or DEFAULT_PAGE, self.page_size)
