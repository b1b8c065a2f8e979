"""Copies of a store that are known to be good: taken while it serves, and put back while it does not."""

import os
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from comby.server.ports.errors import StoreDamaged, StoreIncompatible, StoreUnavailable
from comby.server.stores.sqlite.location import parse_file_url
from comby.server.stores.sqlite.lock import locked
from comby.server.stores.sqlite.migrations import newest_version, stored_version
from comby.server.stores.sqlite.statements import statement


def backup(url: str, target: Path) -> None:
    """Copy a store to a file as it stands at one moment, while it may be in use, and verify the copy.

    The file appears under its name only when it is good. Raises FileNotFoundError, FileExistsError, StoreDamaged,
    StoreIncompatible, and StoreUnavailable when it can not be written.
    """
    source = parse_file_url(url)
    _refuse_missing(source)
    if target.exists():
        raise FileExistsError(f"{target} exists, and a backup replaces nothing")
    with _partial(target) as partial:
        _copy(source, partial)
        verify(partial)
        _publish(partial, target)


def restore(backup_file: Path, url: str, *, force: bool = False) -> None:
    """Make a verified backup the store.

    The incarnation is a new one, so that nobody resumes at positions that may be given twice. Raises StoreInUse while
    the store is open, FileExistsError where it exists and `force` is not set, and what `backup` raises.
    """
    target = parse_file_url(url)
    _refuse_missing(backup_file)
    with locked(target):
        if target.exists() and not force:
            raise FileExistsError(f"{target} exists; only force replaces it")
        with _partial(target) as partial:
            verify(backup_file)
            _copy(backup_file, partial)
            _renew(partial)
            verify(partial)
            # The log of the store that is replaced must not be applied to the new one.
            Path(f"{target}-wal").unlink(missing_ok=True)
            Path(f"{target}-shm").unlink(missing_ok=True)
            _publish(partial, target)


def verify(path: Path) -> None:
    """Check a file that nobody writes: its pages and indexes, its schema version, and that its positions have no gap.

    Raises StoreDamaged or StoreIncompatible.
    """
    try:
        with closing(apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=_READ_URI)) as connection:
            version = stored_version(connection, path)
            if not 0 < version <= newest_version():
                raise StoreIncompatible(f"{path} has schema version {version}, which this comby does not know")
            if connection.pragma("integrity_check") != "ok":
                raise StoreDamaged(f"{path} fails SQLite's integrity check")
            count, head = connection.execute(statement("count_events")).get
    except apsw.Error as error:
        raise StoreDamaged(f"{path} can not be read: {type(error).__name__}") from None
    if count != head:
        raise StoreDamaged(f"{path} has {count} events up to position {head}")


_READ_URI = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI


def _copy(source: Path, target: Path) -> None:
    try:
        with (
            closing(apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)) as origin,
            closing(apsw.Connection(str(target))) as copy,
        ):
            with copy.backup("main", origin, "main") as steps:
                steps.step()  # all pages in one read transaction: one moment, which no writer disturbs
            copy.pragma("journal_mode", "delete")  # one file, without neighbours
    except (apsw.CorruptError, apsw.NotADBError):
        raise StoreDamaged(f"{source} can not be read as a database") from None
    except apsw.Error as error:
        raise StoreUnavailable(f"{source} could not be copied to {target}: {type(error).__name__}") from None


def _renew(path: Path) -> None:
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute(statement("renew_incarnation"), {"incarnation": str(uuid.uuid4())})


@contextmanager
def _partial(target: Path) -> Iterator[Path]:
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _publish(partial: Path, target: Path) -> None:
    _sync(partial)
    os.replace(partial, target)
    _sync(target.absolute().parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_missing(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
