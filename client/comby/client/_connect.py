"""Open a connection to a facade."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc

from comby.client._comby import Comby
from comby.client._connection import Connection, until_ready
from comby.client._metadata import Ambient
from comby.client._retry import RetryPolicy

MAX_MESSAGE_BYTES = 4 * 1024 * 1024  # the server's limit too
KEEPALIVE_MS = 30_000  # only while a call is open; the server allows a ping every 10 s
PING_TIMEOUT_MS = 10_000  # a connection without an answer for so long is dead; keepalive alone does not find it


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to trust the server and, with a certificate of one's own, be trusted; all PEM."""

    root_certificates: bytes | None = None
    """Whom to trust; the roots that come with gRPC when None."""
    certificate: bytes | None = None
    private_key: bytes | None = None
    server_name: str | None = None
    """The name in the server's certificate, where it is not the target's."""

    @classmethod
    def from_files(
        cls,
        *,
        root_certificates: Path | str | None = None,
        certificate: Path | str | None = None,
        private_key: Path | str | None = None,
        server_name: str | None = None,
    ) -> "Tls":
        """Read the files now; raises OSError where one can not be read."""
        return cls(
            root_certificates=_read(root_certificates),
            certificate=_read(certificate),
            private_key=_read(private_key),
            server_name=server_name,
        )


@asynccontextmanager
async def connect(
    target: str,
    *,
    token: str | None = None,
    tenant_id: str | None = None,
    tls: Tls | None = None,
    ready_timeout: float | None = 10.0,
    timeout: float = 30.0,
    retry: RetryPolicy | None = None,
    channel: grpc.aio.Channel | None = None,
) -> AsyncGenerator[Comby, None]:
    """Connect to a facade at `target`, such as "localhost:50051", and close the connection at the end.

    Waits up to `ready_timeout` seconds for the server and then raises `Unavailable`; None does not wait. `timeout`
    is how long a unary call takes at most unless it says otherwise. `tenant_id` is for every call that names none.
    A ready `channel` is used as it is, instead of a new one, and is left open; `tls` is its own business then.
    """
    made = channel if channel is not None else open_channel(target, tls)
    ambient = Ambient(token=token, tenant_id=tenant_id)
    try:
        if ready_timeout is not None:
            await until_ready(made, target, ready_timeout)
        yield Comby(Connection(channel=made, ambient=ambient, retry=retry or RetryPolicy(), timeout=timeout))
    finally:
        if channel is None:
            await made.close()


def open_channel(target: str, tls: Tls | None) -> grpc.aio.Channel:
    """Return a channel with the limits and the keepalive of the SDK; not connected yet."""
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        ("grpc.enable_retries", 0),  # the SDK knows better which calls are safe to repeat
        ("grpc.use_local_subchannel_pool", 1),  # two connections are two connections
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options)
    if tls.server_name is not None:
        options.append(("grpc.ssl_target_name_override", tls.server_name))
    credentials = grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate)
    return grpc.aio.secure_channel(target, credentials, options=options)


def _read(path: Path | str | None) -> bytes | None:
    return None if path is None else Path(path).read_bytes()
