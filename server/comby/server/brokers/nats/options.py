"""What a connection to NATS and the stream of events are made from."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The stream of events. `max_age` is in seconds and `max_bytes` in bytes; 0 keeps everything. One that is not `managed` is made
    by somebody else, and only checked."""

    max_age: float = 7 * 24 * 3600.0
    max_bytes: int = 0
    replicas: int = 1
    managed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """Where the servers are, as `host:port`, and who connects. With `tls` a server without it is refused before anything is told to it."""

    servers: tuple[str, ...]
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    nkey: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    stream: StreamOptions = StreamOptions()
