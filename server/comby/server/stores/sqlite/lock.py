"""One server for each store: a lock that the kernel releases when all who hold it are gone, however they end.

A server and its writer's process hold the same lock, so a second server can not write beside a writer whose server has died.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comby.server.ports.errors import StoreInUse, StoreUnavailable

DYING_SECONDS = 10.0
"""How long the lock of a server that is gone is waited for: its writer's process ends with the transaction in hand, or before."""
LOOK_SECONDS = 0.02


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store for this process; raises as `take` does."""
    descriptor = take(path)
    try:
        yield
    finally:
        os.close(descriptor)


def take(path: Path) -> int:
    """Lock the store until the descriptor that is returned is closed, here and in all processes that inherited it.

    Blocks for a moment where the server that had the store is gone and the lock is not. Raises StoreInUse where another
    server holds it, and StoreUnavailable where its directory can not be written.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path} can not be opened: {error.strerror}") from None
    try:
        _take(descriptor, path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _take(descriptor: int, path: Path) -> None:
    until = time.monotonic() + DYING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            if _alive(holder) or time.monotonic() > until:
                raise StoreInUse(
                    f"{path} is open in process {holder or 'unknown'}; a SQLite store serves one process. "
                    "Stop it first, or use PostgreSQL."
                ) from None
            time.sleep(LOOK_SECONDS)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)


def _alive(holder: str) -> bool:
    """Tell whether a process is there and has not ended; one that nobody has waited for yet has."""
    try:
        os.kill(int(holder), 0)
        return b") Z " not in Path(f"/proc/{holder}/stat").read_bytes()
    except (ValueError, ProcessLookupError):
        return False
    except OSError:  # it is another user's, or there is no such folder on this system
        return True
