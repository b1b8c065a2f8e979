"""The writer's process as its server sees it: started, spoken to, and seen to its end."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from comby.server.stores.sqlite.frames import Frame, FrameBuffer
from comby.server.stores.sqlite.writer_process import DURABLE

PROGRAM = Path(__file__).with_name("writer_process.py")
EXIT_SECONDS = 10.0
"""For a process that was closed to end; after that it is killed."""


class WriterProcess(asyncio.Protocol):
    """One process. `told` is called with each frame that comes, and `ended` once, when nothing more can come."""

    def __init__(
        self, process: "subprocess.Popen[bytes]", told: Callable[[Frame], None], ended: Callable[[], None]
    ) -> None:
        self._process = process
        self._told = told
        self._ended = ended
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def send(self, frame: bytes) -> None:
        """Send a frame; it is lost if the process is gone."""
        assert self._transport is not None
        self._transport.write(frame)

    async def end(self, *, at_once: bool) -> None:
        """Close the socket and wait until the process is gone: a short while, unless at once, before it is killed."""
        if self._transport is not None:
            self._transport.close()
        if at_once:
            self._process.kill()
        try:
            await asyncio.to_thread(self._process.wait, EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note how to send."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        for frame in self._buffer.feed(data):
            self._told(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that nothing more comes."""
        self._ended()


async def start_process(
    path: Path, *, durable: bool, lock: int, told: Callable[[Frame], None], ended: Callable[[], None]
) -> WriterProcess:
    """Start the writer's process of a file. It inherits the store's lock, so that the store is in use as long as either lives.

    It has a session of its own: what a terminal sends to the server's group does not reach it.
    """
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = [str(path), DURABLE if durable else "", str(theirs.fileno()), str(os.getpid())]
        process = subprocess.Popen(  # noqa: ASYNC220  # it returns as soon as the program is loaded; no child watcher is needed
            [sys.executable, "-P", "-S", str(PROGRAM), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            pass_fds=(theirs.fileno(), lock),
            start_new_session=True,
        )
    loop = asyncio.get_running_loop()
    _, writer = await loop.create_unix_connection(lambda: WriterProcess(process, told, ended), sock=ours)
    return writer
