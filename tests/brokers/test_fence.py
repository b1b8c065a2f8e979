"""Whoever publishes after being away for long is refused by the stream."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats

from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import LogIdentity
from comby.server.ports.errors import StreamOvertaken
from comby.server.ports.event_publisher import EventPublisher, StreamPlace
from tests.brokers.nats_server import NatsServer
from tests.brokers.outgoing import STREAM, held, some

LOG = LogIdentity("a-log", "its-first-life")
ROOT = Path(__file__).parents[2]
FREEZES = 3


async def test_a_process_that_was_frozen_is_refused(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with open_nats(nats_options, name="shop", log=LOG) as opened:
        for _ in range(FREEZES):
            await opened.publisher.end(limit=1)
            async with _started(nats_server.address) as frozen:
                assert frozen.stdout is not None
                while int(await frozen.stdout.readline()) < 100:
                    pass
                frozen.send_signal(signal.SIGSTOP)
                taken_over = await _take_over(opened.publisher)
                frozen.send_signal(signal.SIGCONT)
                out, _ = await asyncio.wait_for(frozen.communicate(), 20)
            assert "StreamOvertaken" == out.decode().split()[-1]
            assert list(range(1, taken_over + 501)) == [one.position for one in await held(nats_server.url)]
            async with await nats.connect(nats_server.url) as operator:
                await operator.jetstream().delete_stream(STREAM)


async def _take_over(publisher: EventPublisher) -> int:
    """Publish 500 events behind those of another, and return where it was; what that one had sent may still arrive meanwhile."""
    while True:
        end = await publisher.end(limit=1)
        last = end.newest[0]
        try:
            place = StreamPlace(sequence=end.sequence, event_id=last.event_id)
            await publisher.publish(some(last.position + 1, last.position + 500), after=place)
        except StreamOvertaken:
            continue
        return last.position


@asynccontextmanager
async def _started(address: str) -> AsyncIterator[asyncio.subprocess.Process]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.brokers.frozen_publisher", address, "1000000"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
