"""Connections to the database: how they are made, configured and given up."""

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from comby.server.stores.postgres.statements import statement

if TYPE_CHECKING:
    Connection: TypeAlias = asyncpg.Connection[asyncpg.Record]  # generic in the stubs only
else:
    Connection = asyncpg.Connection

CONNECT_SECONDS = 3.0
"""To reach the database and log in: a host that drops packets is told from one that is slow."""
COMMAND_SECONDS = 35.0
"""For one statement, on this side: above statement_timeout, for a database that answers nothing any more."""
CLOSE_SECONDS = 0.5
"""To say goodbye; then the socket is closed."""
SILENCE_SECONDS = 5
"""After so long without a sign of the other end a connection is lost."""
KEEPALIVE = {
    "TCP_KEEPIDLE": 2,
    "TCP_KEEPINTVL": 1,
    "TCP_KEEPCNT": SILENCE_SECONDS - 2,
    "TCP_USER_TIMEOUT": SILENCE_SECONDS * 1_000,
}
STATEMENTS_KEPT = 100
"""Prepared statements of a connection: more than this adapter has, so that none is prepared twice."""


async def connect(url: str) -> Connection:
    """Connect and configure the session. Raises the driver's errors."""
    try:
        connection = await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            statement_cache_size=STATEMENTS_KEPT,
            max_cached_statement_lifetime=0,
            server_settings={"application_name": "comby"},
        )
    except (asyncpg.InterfaceError, ssl.SSLError):  # the latter is a ValueError where a certificate is refused
        raise
    except ValueError:  # what the driver raises for some URLs
        raise asyncpg.ClientConfigurationError("the URL can not be read") from None
    _find_silence(connection)
    try:
        await connection.execute(statement("configure_session"), timeout=CONNECT_SECONDS)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _find_silence(connection: Connection) -> None:
    """Have the kernel close a connection whose other end is gone without a word, as after a failover: within SILENCE_SECONDS."""
    way = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]  # the driver has no option for it
    if way is None or way.family not in (socket.AF_INET, socket.AF_INET6):
        return
    way.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not every system has them all
            way.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def close(connection: Connection) -> None:
    """Close a connection, in order where the database still answers."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
