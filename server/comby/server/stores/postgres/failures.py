"""What goes wrong with a database, told in the words of the ports: no text of the driver leaves this room, or is logged."""

import logging
import ssl
import time

import asyncpg

from comby.server.ports.errors import StoreError, StoreIncompatible, StoreUnavailable

log = logging.getLogger("comby.store")

TELL_SECONDS = 10.0
"""Between two equal lines of the log."""
MOST_TOLD = 100
"""Lines that are remembered."""
_told: dict[str, float] = {}

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Everything that asyncpg raises because of the database or the way to it; a time-out is an OSError."""

OTHER_INCARNATION = "CB002"
"""Raised by `comby.append` where the log was restored or promoted since the store was opened."""


def lost(error: BaseException) -> bool:
    """Tell whether the connection is gone, so that nobody knows what became of the statement."""
    if isinstance(error, asyncpg.QueryCanceledError):
        return False
    return isinstance(
        error,
        (
            OSError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            asyncpg.PostgresConnectionError,
            asyncpg.OperatorInterventionError,
            asyncpg.IdleInTransactionSessionTimeoutError,
        ),
    )


def unavailable(error: BaseException) -> StoreUnavailable:
    """Log the kind and code of a driver's error, and return what the caller is told."""
    if isinstance(error, StoreUnavailable):
        return error
    code = getattr(error, "sqlstate", None)
    if isinstance(error, StoreError):
        _tell(str(error))  # our own words
    else:
        _tell(f"the database failed: {type(error).__name__}, SQLSTATE {code}")
    if code == OTHER_INCARNATION:
        return StoreUnavailable("the log was restored or promoted since it was opened: start this instance again")
    return StoreUnavailable("the database can not be used now; the log of this server tells the kind of failure")


def _tell(line: str) -> None:
    """Log a line, but not again and again while the database is away: everybody who asks for it comes here."""
    now = time.monotonic()
    if now - _told.get(line, float("-inf")) >= TELL_SECONDS:
        _told[line] = now
        log.error(line)
    if len(_told) > MOST_TOLD:
        _told.clear()


def refused(error: BaseException) -> StoreUnavailable | StoreIncompatible:
    """Return what is told of a database that can not be opened."""
    match error:
        case asyncpg.InvalidAuthorizationSpecificationError():
            return StoreIncompatible("the database refuses the user or the password of the URL")
        case asyncpg.InvalidCatalogNameError():
            return StoreIncompatible("there is no database of that name")
        case asyncpg.InsufficientPrivilegeError():
            return StoreIncompatible(
                "the user may not do in the database what the store needs; see the page on operating"
            )
        case ssl.SSLCertVerificationError():
            return StoreIncompatible("the certificate of the database is not trusted, or is not one for its host")
        case ConnectionError() if type(error) is ConnectionError:  # as the driver tells that TLS was refused
            return StoreIncompatible("the URL demands TLS, which the database does not offer")
        case FileNotFoundError():
            return StoreUnavailable("a file or a socket that the URL of the database names is not there")
        case asyncpg.ClientConfigurationError():
            return StoreIncompatible("the URL of the database can not be used")
        case _:
            return unavailable(error)


def refuse_unstorable(error: BaseException) -> None:
    """Raise ValueError for a value that can not be sent or held, such as a number of more than 64 bits: a bug of the caller."""
    sent = not (isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError))
    if not sent or isinstance(error, asyncpg.NumericValueOutOfRangeError):
        raise ValueError("a value can not be stored") from None
