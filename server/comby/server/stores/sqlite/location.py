"""Where a store lies: the URL of a store, read."""

from dataclasses import dataclass
from pathlib import Path

from comby.server.ports.errors import StoreIncompatible

PREFIX = "sqlite://"
MEMORY = ":memory:"


@dataclass(frozen=True, slots=True)
class InFile:
    """A store in a file; its neighbours `-wal`, `-shm` and `.lock` belong to it."""

    path: Path


@dataclass(frozen=True, slots=True)
class InMemory:
    """A private store that is gone when it is closed."""


def parse_url(url: str) -> InFile | InMemory:
    """Read `sqlite:///relative.db`, `sqlite:////absolute.db` or `sqlite://:memory:`.

    Raises StoreIncompatible for anything else.
    """
    rest = url.removeprefix(PREFIX)
    if rest == url:
        raise StoreIncompatible(f"not a sqlite:// URL: {url}")
    if rest == MEMORY:
        return InMemory()
    path = rest.removeprefix("/")
    if path == rest or not path:
        raise StoreIncompatible(f"a file is named by three slashes (relative) or four (absolute): {url}")
    return InFile(Path(path))


def parse_file_url(url: str) -> Path:
    """Return the file of a store's URL. Raises StoreIncompatible for a store that has none."""
    match parse_url(url):
        case InFile(path):
            return path
        case InMemory():
            raise StoreIncompatible("a store in memory can not be backed up or restored")
