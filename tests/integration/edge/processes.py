"""Servers in processes of their own, as an operator starts them."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

STARTED = "comby serving "


@dataclass(frozen=True, slots=True)
class Served:
    """A server that runs: its process, its address, and the line that it printed."""

    process: asyncio.subprocess.Process
    address: str
    line: str


async def run_comby(*arguments: str, **environment: str) -> asyncio.subprocess.Process:
    """Start the command line."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "comby.server.cli",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
        limit=2**24,
    )


@asynccontextmanager
async def serving(*arguments: str, command: str = "serve", store: str = "sqlite://:memory:") -> AsyncIterator[Served]:
    """Serve the shop until the context is left."""
    flags = ["--app", "shop.app:app", "--listen", "127.0.0.1:0", "--store", store]
    process = await run_comby(command, *flags, *arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
    assert line.startswith(STARTED), (line, (await process.stderr.read()).decode())
    drained = asyncio.ensure_future(process.stderr.read())
    try:
        yield Served(process, line.partition(" on ")[2].partition(" ")[0], line)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await drained
