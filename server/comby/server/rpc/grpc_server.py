"""The grpc.aio server: its numbers, its credentials, and who is at the other end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc import aio

from comby.server.application.limits import Limits
from comby.server.rpc.grpc_binding import Context, GrpcBinding
from comby.server.rpc.table import Table

ACTOR_LENGTH = 256
"""Characters of an actor id that are kept."""
IDENTITY_KEYS = ("peer_uri", "peer_dns", "peer_email", "x509_common_name")
"""Where an actor id is taken from in a client's certificate: the first of these that it has."""

MOST_STREAMS = 10_000
"""Calls and streams of one connection that core takes in, those included that are answered and not yet forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """Files in PEM. With `client_ca` every client must show a certificate that this authority signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class AddressUnavailable(Exception):
    """The address can not be listened on: something else listens there, or it is not an address of this machine."""


def build_server(table: Table, limits: Limits, *, listen: str, tls: TlsFiles | None) -> tuple[aio.Server, int]:
    """Return a server that is bound and not started, and its port. Raises AddressUnavailable."""
    mutual = tls is not None and tls.client_ca is not None
    binding = GrpcBinding(table, actor_of if mutual else None)
    server = aio.server(handlers=[binding], options=server_options(limits))
    try:
        if tls is None:
            return server, server.add_insecure_port(listen)
        return server, server.add_secure_port(listen, _credentials(tls))
    except RuntimeError:
        raise AddressUnavailable(listen) from None


def server_options(limits: Limits) -> list[tuple[str, int]]:
    """Return the options of the server, each with its reason."""
    return [
        # Two servers on one port would share its calls in silence; a second one is to fail at start.
        ("grpc.so_reuseport", 0),
        # Core refuses without details, so it refuses only twice the size that is refused here with them.
        ("grpc.max_receive_message_length", limits.message_bytes * 2),
        # A batch ends near 1 MiB; an answer that a client would not take must not leave either.
        ("grpc.max_send_message_length", limits.message_bytes),
        # From 1,000 waiting calls on core ends some with CANCELLED; here the table answers OVERLOADED instead.
        ("grpc.server.max_pending_requests", 50_000),
        ("grpc.server.max_pending_requests_hard_limit", 100_000),
        # Calls and streams are bounded by the table, which tells why. Core only drops a connection's calls (as UNAVAILABLE), so it comes last.
        ("grpc.max_concurrent_streams", max(MOST_STREAMS, limits.streams_per_connection * 2)),
        # A dead client is found in 30 + 10 s, also behind a firewall that forgets idle connections after a minute.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        # Clients are told to ping every 20 s at most; more often than every 10 s is abuse.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.max_ping_strikes", 5),
        # A connection that says nothing, or drips, is closed in 10 s.
        ("grpc.server_handshake_timeout_ms", 10_000),
    ]


def actor_of(context: Context) -> str:
    """Return the actor that a client's certificate names."""
    properties: Mapping[str, Iterable[bytes]] = context.auth_context()
    for key in IDENTITY_KEYS:
        for value in properties.get(key, ()):
            name = value.decode("utf-8", "replace")[:ACTOR_LENGTH]
            if name:
                return name
    return ""


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    authority = None if tls.client_ca is None else tls.client_ca.read_bytes()
    return grpc.ssl_server_credentials(
        [(tls.key.read_bytes(), tls.certificate.read_bytes())],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )
