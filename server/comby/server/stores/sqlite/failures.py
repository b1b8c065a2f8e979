"""What the failures of SQLite are to everybody else."""

import logging
import traceback

import apsw

from comby.server.ports.errors import StoreDamaged, StoreError, StoreIncompatible, StoreUnavailable

log = logging.getLogger("comby.store")

_KNOWN: dict[str, type[Exception]] = {
    kind.__name__: kind for kind in (StoreUnavailable, StoreDamaged, StoreIncompatible, ValueError)
}


def translated(error: BaseException) -> BaseException:
    """Return the error of the port for one of SQLite or of its files, and log that one; others are returned as they are."""
    if not isinstance(error, (apsw.Error, OSError)):
        return error
    # The text of a driver may hold values of rows, so only its kind and code are logged.
    log.error(
        "the store failed: %s, extended result %s",
        type(error).__name__,
        getattr(error, "extendedresult", None),
    )
    if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
        return StoreDamaged("the file of the store is damaged")
    return StoreUnavailable("the store can not be used now; its log tells the cause")


def described(error: BaseException) -> tuple[str, str]:
    """Return an error as it is sent to another process: its kind, and a text without values of rows."""
    if isinstance(error, (StoreError, ValueError)):
        return type(error).__name__, str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return type(error).__name__, f"{place.filename.rpartition('/')[2]}:{place.lineno}"


def restored(kind: str, text: str) -> Exception:
    """Return the error that was described."""
    known = _KNOWN.get(kind)
    return RuntimeError(f"the writer raised {kind} at {text}") if known is None else known(text)
