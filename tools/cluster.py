"""Run PostgreSQL, NATS and two instances of the shop on this machine, until it is interrupted: `make cluster`.

The servers come from wheels and keep what they store in a temporary folder, which is deleted at the end.
"""

import asyncio
import os
import signal
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.brokers.nats_server import NatsServer
from tests.postgres_server import PostgresServer

ROOT = Path(__file__).resolve().parent.parent
PORTS = (50051, 50052)
INTERNAL_PORTS = (50061, 50062)
START_SECONDS = 60.0
STOP_SECONDS = 15.0


async def main() -> None:
    """Start everything, say where it is, and wait for the end."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="comby-cluster-")))
        postgres = PostgresServer()
        stack.callback(postgres.close)
        nats = NatsServer(folder)
        nats.start()
        stack.callback(nats.stop)
        store = postgres.create("shop")
        for port, internal in zip(PORTS, INTERNAL_PORTS, strict=True):
            process = await _serve(store, nats.url, port, internal)
            stack.push_async_callback(_end, process)
        print(f"cluster: PostgreSQL  {store}")
        print(f"cluster: NATS        {nats.url}")
        print(
            "cluster: try `comby cluster`, `comby cluster --target 127.0.0.1:50052`, and kill an instance; Ctrl-C ends all",
            flush=True,
        )
        await told.wait()


async def _serve(store: str, broker: str, port: int, internal: int) -> asyncio.subprocess.Process:
    """Start an instance, and wait until it serves."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "comby.server.cli", "serve", "--app", "shop.app:app", "--listen", f"127.0.0.1:{port}"),
        *("--store", store, "--broker", broker, "--internal-listen", f"127.0.0.1:{internal}"),
        cwd=ROOT / "examples" / "shop",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), START_SECONDS)
    if not line:
        raise SystemExit("cluster: an instance does not start")
    print(line.decode().rstrip(), flush=True)
    return process


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()


if __name__ == "__main__":
    asyncio.run(main())
