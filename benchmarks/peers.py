"""Peers that are servers of their own."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.postgres import folder_on

START_SECONDS = 15.0


@contextmanager
def umadb(disk: Path) -> Iterator[str]:
    """Run the server of UmaDB from its wheel, with its settings as they are, and return its URL."""
    with folder_on(disk) as folder:
        address = ("127.0.0.1", _free_port())
        listen = f"{address[0]}:{address[1]}"
        program = Path(sys.executable).with_name("umadb")
        process = subprocess.Popen(
            [program, "--listen", listen, "--db-path", folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(address, process)
            yield f"http://{listen}"
        finally:
            process.terminate()
            process.wait()


def _wait_for(address: tuple[str, int], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(address, 1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the peer does not start") from None
            time.sleep(0.05)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
