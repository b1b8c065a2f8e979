"""Disks for the store of a test: one whose power can be cut, and a small one. They need root, loop devices and tmpfs."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postgres_server import PostgresServer

ENDING_SECONDS = 10.0
LITTLE_LOG = "min_wal_size = 32MB\nmax_wal_size = 64MB"


class Disk:
    """An ext4 file system in a file. What it holds after a cut is what had reached the device: nothing that was only in memory."""

    def __init__(self, folder: Path, megabytes: int) -> None:
        self.root = _mount_point()
        self._device = folder / "device"
        with self._device.open("wb") as file:
            file.truncate(megabytes * 2**20)
        _run("mkfs.ext4", "-q", "-F", str(self._device))
        self.mount()

    def mount(self) -> None:
        """Mount it. Its journal is written when somebody asks for it, and hardly ever by itself."""
        _run("mount", "-o", "loop,commit=300", str(self._device), str(self.root))

    def unmount(self) -> None:
        """Unmount it, which writes all that is in memory."""
        _unmount(self.root)

    def write_all(self) -> None:
        """Write all that is in memory."""
        _run("sync", "-f", str(self.root))

    def keep(self) -> Path:
        """Return a copy of what is on the device at this moment. Whoever writes must stand still."""
        kept = self._device.with_name("kept")
        _run("cp", "--sparse=always", str(self._device), str(kept))
        return kept

    def go_back(self, kept: Path) -> None:
        """Have nothing but what was kept, as after a power cut. Nobody may use the disk."""
        self.unmount()
        kept.replace(self._device)
        self.mount()


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """Make a disk, and take it away."""
    made = Disk(folder, megabytes)
    try:
        yield made
    finally:
        made.unmount()
        made.root.rmdir()


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """Mount a small disk, which is in memory, and take it away."""
    root = _mount_point()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(root))
    try:
        yield root
    finally:
        _unmount(root)
        root.rmdir()


@contextmanager
def store_on(root: Path, store: str) -> Iterator[tuple[str, PostgresServer | None]]:
    """Have a store on a disk; return its URL, and its server where it has one."""
    if store == "sqlite":
        yield f"sqlite:///{root / 'trial.db'}", None
        return
    postgres = PostgresServer(LITTLE_LOG, folder=root)
    try:
        yield postgres.create("trial"), postgres
    finally:
        postgres.close()


def _mount_point() -> Path:
    """Return a new folder that every user can reach."""
    return Path(tempfile.mkdtemp(prefix="comby-disk-"))


def _unmount(root: Path) -> None:
    """Unmount; programs that were just killed may have the disk for a moment."""
    deadline = time.monotonic() + ENDING_SECONDS
    while subprocess.run(["umount", str(root)], capture_output=True).returncode:
        if time.monotonic() > deadline:
            raise RuntimeError("somebody still uses the disk")
        time.sleep(0.01)


def _run(*command: str) -> None:
    """Run a program. Raises with what it told where the machine does not allow it."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} is not possible here: {done.stderr.strip()}")
