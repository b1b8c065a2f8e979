"""The reload of `comby dev`: a child process serves, and is started anew whenever a Python file changes."""

import asyncio
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from watchfiles import PythonFilter, awatch

STOP_SECONDS = 10.0
"""How long a child may take to stop, before it is killed."""


async def serve_and_reload(command: Sequence[str], directory: Path) -> int:
    """Run the command until a signal comes; return its exit code. A first start that fails ends it, a later one waits for a change."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    changes = awatch(directory, watch_filter=PythonFilter(), stop_event=told, debounce=300, step=50)
    child = await _start(command)
    first = True
    while True:
        change = asyncio.ensure_future(anext(changes, None))
        ended = asyncio.ensure_future(child.wait())
        await asyncio.wait({change, ended}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and first and not told.is_set() and not change.done():
            change.cancel()
            return ended.result()
        if ended.done() and not change.done():
            print("comby: stopped; waiting for a change", file=sys.stderr, flush=True)
        changed = await change
        await _stop(child, ended)
        if changed is None or told.is_set():
            return 0
        print("comby: the code has changed", file=sys.stderr, flush=True)
        first = False
        child = await _start(command)


async def _start(command: Sequence[str]) -> asyncio.subprocess.Process:
    """Start the child in a session of its own: a Ctrl-C in the terminal reaches the parent, which stops the child once.

    Its input is open for as long as this process lives, and tells it when that is killed.
    """
    return await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE, start_new_session=True)


async def _stop(child: asyncio.subprocess.Process, ended: asyncio.Future[int]) -> None:
    if child.returncode is None:
        child.terminate()
    try:
        await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS)
    except TimeoutError:
        child.kill()
        await ended
