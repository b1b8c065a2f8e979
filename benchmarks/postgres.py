"""A PostgreSQL for measurements: from a wheel, durable, with its data on a disk, since durability has to cost what it costs."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.postgres_server import PostgresServer

DISK = Path("/var/tmp")
"""Kept over restarts of the machine, so never in memory."""
SETTINGS = """
fsync = on
synchronous_commit = on
full_page_writes = on
shared_buffers = 256MB
max_wal_size = 2GB
"""
"""Beside durability: what a server has that is not there for tests, so that no checkpoint falls into a round."""


class Database(PostgresServer):
    """A server of its own, and the processor time that it uses."""

    def cpu_seconds(self) -> float:
        """Return the processor time of the server and all its processes so far, in seconds."""
        assert self._process is not None
        server = psutil.Process(self._process.pid)
        total = 0.0
        for one in (server, *server.children()):
            try:
                times = one.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        ended = server.cpu_times()
        return float(total + ended.children_user + ended.children_system)


@contextmanager
def postgres(disk: Path) -> Iterator[Database]:
    """Run a server, with its data in a new folder on a disk."""
    server = Database(SETTINGS, folder=disk)
    try:
        yield server
    finally:
        server.close()


@contextmanager
def folder_on(disk: Path) -> Iterator[Path]:
    """Make a folder for somebody else's data."""
    with tempfile.TemporaryDirectory(prefix="comby-bench-", dir=disk) as folder:
        yield Path(folder)
