"""A real `comby serve` of the shop, in a process of its own, which tests may kill."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

START_SECONDS = 20.0
STOP_SECONDS = 10.0
"""The promise of a graceful stop."""
_SERVING = re.compile(r"^comby serving shop on (\S+):(\d+) ", re.MULTILINE)


class ShopProcess:
    """The server. It keeps its port over restarts, as a server in production does."""

    def __init__(self, folder: Path, *flags: str, store: str = "") -> None:
        """`store` is a URL; a file of SQLite in the folder when empty."""
        self.database = folder / "shop.db"
        self.store = store or f"sqlite:///{self.database}"
        self._log = folder / "server.log"
        self._flags = flags
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start and wait until it serves."""
        serve = ["serve", "--app", "shop.app:app", "--listen", self.address, "--store", self.store, *self._flags]
        start = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "comby.server.cli", *serve],
                cwd=self._log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            told = self._log.read_bytes()[start:].decode()
            if serving := _SERVING.search(told):
                self._port = int(serving[2])
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"the server does not serve:\n{self.log()}")

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """Tell it to stop, and see that it does so in order and in time."""
        assert self._process is not None
        if self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server does not stop in {STOP_SECONDS:g} s:\n{self.log()}") from None
        assert code == 0, f"the server stopped with {code}:\n{self.log()}"

    def log(self) -> str:
        """Return the end of what it logged."""
        return self._log.read_text(errors="replace")[-6000:]
