"""A stream of three replicas, in a cluster that loses its leader."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import nats
import pytest

from comby.server.brokers.nats import NatsOptions, StreamOptions
from tests.brokers.nats_server import NatsServer
from tests.brokers.outgoing import STREAM, held
from tests.brokers.relaying import caught_up, log, relaying


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[NatsServer]]:
    """Three servers that know each other."""
    with ExitStack() as stack:
        routes = [_free_port() for _ in range(3)]
        servers = []
        for number, port in enumerate(routes):
            folder = tmp_path / f"n{number}"
            folder.mkdir()
            others = ", ".join(f"nats://127.0.0.1:{route}" for route in routes)
            server = NatsServer(
                folder, f'server_name: n{number}\ncluster {{ name: c, listen: "127.0.0.1:{port}", routes: [{others}] }}'
            )
            stack.callback(server.stop)
            server.start()
            servers.append(server)
        yield servers


@pytest.mark.long
async def test_a_stream_of_three_replicas_outlives_its_leader(cluster: list[NatsServer]) -> None:
    options = NatsOptions(servers=tuple(one.address for one in cluster), stream=StreamOptions(replicas=3))
    async with log() as opened:
        await opened.write(200)
        async with relaying(opened, options) as relay:
            await caught_up(relay)
            leader = await _leader(cluster)
            await opened.write(200)
            leader.kill()
            await opened.write(200)
            await caught_up(relay)
            leader.start()
            await opened.write(200)
            await caught_up(relay)
        assert list(range(1, 801)) == [one.position for one in await held(cluster[0].url)]


async def _leader(cluster: list[NatsServer]) -> NatsServer:
    async with await nats.connect([one.url for one in cluster]) as client:
        info = await client.jetstream().stream_info(STREAM)
    assert info.cluster is not None
    return cluster[int((info.cluster.leader or "n0")[1:])]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
