"""One process for each store: a lock that the kernel releases when its holder dies, however it dies."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from comby.server.ports.errors import StoreInUse, StoreUnavailable


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the store for this process.

    Raises StoreInUse where another holds it, and StoreUnavailable where its directory can not be written.
    """
    try:
        descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreUnavailable(f"{path} can not be opened: {error.strerror}") from None
    try:
        _take(descriptor, path)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        raise StoreInUse(
            f"{path} is open in process {holder or 'unknown'}; a SQLite store serves one process. "
            "Stop it first, or use PostgreSQL."
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
