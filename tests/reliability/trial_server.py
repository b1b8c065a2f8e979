"""`comby serve` of the trial domain in a process of its own, on one port and one store for all its lives."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil

from tests.reliability.domain import app

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
"""The folder in which tests are found by their full names."""
APP = "tests.reliability.domain.app:app"
STARTED = b"comby serving "
START_SECONDS = 60
"""Before a start counts as failed; the machine may be busy."""


class TrialServer:
    """A server that can be killed, stopped and started again."""

    def __init__(self, folder: Path, *flags: str, store: str = "", app: str = APP) -> None:
        """`store` is a URL; a file of SQLite in the folder when empty."""
        self._app = app
        self.folder = folder
        self.store = store or f"sqlite:///{folder / 'trial.db'}"
        self.port = _free_port()
        self.target = f"127.0.0.1:{self.port}"
        self.starts = 0
        self._flags = flags
        self._process: asyncio.subprocess.Process | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    @property
    def log(self) -> str:
        """What the server has logged, in all its lives."""
        return (self.folder / "server.log").read_text(encoding="utf-8")

    async def start(self) -> float:
        """Start, and return after how many seconds it served."""
        began = time.monotonic()
        line = await self._launch()
        assert line.startswith(STARTED), (line, self.log)
        return time.monotonic() - began

    async def _launch(self) -> bytes:
        """Start, and return the line that the process prints once it serves; nothing if it ends before."""
        serve = ["serve", "--app", self._app, "--listen", self.target, "--store", self.store, "--log-level", "error"]
        with (self.folder / "server.log").open("ab") as log:
            self._process = await run_tied("comby.server.cli", *serve, *self._flags, folder=self.folder, stderr=log)
        assert self._process.stdout is not None
        self.starts += 1
        return await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)

    async def kill(self) -> None:
        """End the process without a warning."""
        await end(self.process)

    def pause(self) -> None:
        """Let the process stand still."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let a process that stands still go on."""
        self.process.send_signal(signal.SIGCONT)

    async def terminate(self) -> float:
        """Ask the process to end, and return after how many seconds it has. It must end in order."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert 0 == await asyncio.wait_for(self.process.wait(), START_SECONDS), self.log
        return time.monotonic() - began

    @asynccontextmanager
    async def revived(self) -> AsyncIterator[None]:
        """Start the server again whenever its process ends, as an init system does, until the context is left."""
        task = asyncio.create_task(self._revive())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _revive(self) -> None:
        while True:
            await self.process.wait()
            await self._launch()

    def memory(self) -> float:
        """Return the resident memory in MB."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 1e6


@asynccontextmanager
async def serving(folder: Path, *flags: str, store: str = "", app: str = APP) -> AsyncIterator[TrialServer]:
    """Serve until the context is left."""
    server = TrialServer(folder, *flags, store=store, app=app)
    try:
        await server.start()
        yield server
    finally:
        if server._process is not None:
            await server.kill()


async def run_tied(module: str, *arguments: str, folder: Path, stderr: object) -> asyncio.subprocess.Process:
    """Run a module in a process group of its own that dies with this process."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "tied.py"),
        module,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,  # type: ignore[arg-type]  # an open file
        env={**os.environ, "PYTHONPATH": path, app.FOLDER: str(folder)},
        start_new_session=True,
    )


async def end(process: asyncio.subprocess.Process) -> None:
    """Kill a process and all that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
