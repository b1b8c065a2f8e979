"""A server of the shop in a process of its own, for the demo: it can be killed, and started again where it was."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

SERVING = "comby serving "
START_SECONDS = 30.0


class ShopServer:
    """The process. `address` stays the same over its lives."""

    def __init__(self, store: Path) -> None:
        self._store = store
        self._process: asyncio.subprocess.Process | None = None
        self.address = "127.0.0.1:0"

    async def start(self) -> None:
        """Start it, and wait for the line that tells that it serves. Raises RuntimeError when it does not come."""
        flags = ["--app", "shop.app:app", "--listen", self.address, "--store", f"sqlite:///{self._store}"]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "comby.server.cli", "serve", *flags, "--log-level", "warning"),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), START_SECONDS)).decode()
        if not line.startswith(SERVING):
            raise RuntimeError(f"the server did not start: {line!r}")
        self.address = line.partition(" on ")[2].split()[0]

    async def end(self, number: signal.Signals) -> None:
        """End it by a signal, and wait until it is gone."""
        if self._process is not None and self._process.returncode is None:
            os.kill(self._process.pid, number)
            await self._process.wait()


@asynccontextmanager
async def shop_server(store: Path) -> AsyncIterator[ShopServer]:
    """Serve the shop on a store until the context is left."""
    server = ShopServer(store)
    await server.start()
    try:
        yield server
    finally:
        await server.end(signal.SIGTERM)
