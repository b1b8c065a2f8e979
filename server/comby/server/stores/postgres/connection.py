"""Connections to the database: how they are made, configured and given up."""

import asyncio
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
    try:
        await connection.execute(statement("configure_session"), timeout=CONNECT_SECONDS)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def close(connection: Connection) -> None:
    """Close a connection, in order where the database still answers."""
    try:
        await connection.close(timeout=CLOSE_SECONDS)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        connection.terminate()
    except asyncio.CancelledError:
        connection.terminate()
        raise
