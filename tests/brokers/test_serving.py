"""`comby serve` with a broker: it serves whatever the broker does, and tells it."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import comby.client
from comby.client import Comby
from comby.facade.v1 import projection_pb2
from shop.stock.v1.stock_pb2 import AddStock
from tests.brokers.nats_server import NatsServer
from tests.brokers.outgoing import held
from tests.integration.edge.processes import run_comby, serving

SHOP = ("--app", "shop.app:app", "--listen", "127.0.0.1:0", "--store", "sqlite://:memory:")
FAILING, GOING_ON = True, False


async def test_what_is_committed_is_in_the_stream(nats_server: NatsServer) -> None:
    async with _shop(nats_server.url) as comby:
        await _sell(comby, 5)
        await _relay_is(comby, GOING_ON, position=5)
        ours, log = await held(nats_server.url), [one async for one in comby.read_events()]
    assert [(one.position, one.event_id) for one in log] == [(one.position, one.headers["Nats-Msg-Id"]) for one in ours]
    assert {"shop.events.default.Stock.StockAdded"} == {one.subject for one in ours}


async def test_it_serves_without_the_broker_and_tells_it(nats_server: NatsServer) -> None:
    nats_server.kill()
    async with _shop(nats_server.url) as comby:
        await _sell(comby, 5)
        consumer = await _relay_is(comby, FAILING, position=0)
        assert (5, 1) == (consumer.head, consumer.failure.position)
        assert await _told_by_health(comby) == ["SERVING", "relay relay fails since"]
        nats_server.start()
        await _relay_is(comby, GOING_ON, position=5)
    assert [1, 2, 3, 4, 5] == [one.position for one in await held(nats_server.url)]


async def test_the_line_tells_the_broker_and_no_password(nats_server: NatsServer) -> None:
    url = nats_server.url.replace("nats://", "nats://ada:secret@")
    async with serving("--broker", url) as server:
        assert server.line.endswith(f"(sqlite://:memory:, nats://{nats_server.address})")


async def test_one_line_for_what_can_not_be_connected_with(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("secret")
    process = await run_comby("serve", *SHOP, COMBY_BROKER="nats://host", COMBY_BROKER_NKEY=str(file))
    out, error = await asyncio.wait_for(process.communicate(), 20)
    assert (1, b"") == (process.returncode, out)
    assert f"comby: broker: {file} holds no seed of an nkey\n" == error.decode()


async def test_an_embedded_server_does_without_the_driver() -> None:
    program = (
        "import asyncio, sys\n"
        "from comby.server.bootstrap import running\n"
        "from comby.server.settings import load_settings\n"
        "from shop.app import app\n"
        "async def main():\n"
        "    async with running(app, load_settings({'store': 'sqlite://:memory:', 'listen': '127.0.0.1:0'})): pass\n"
        "asyncio.run(main())\n"
        "assert not {'nats', 'nkeys'} & set(sys.modules)\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program)
    assert 0 == await asyncio.wait_for(process.wait(), 30)


@asynccontextmanager
async def _shop(url: str) -> AsyncIterator[Comby]:
    async with serving("--broker", url) as server, comby.client.connect(server.address) as caller:
        _ADDRESSES[caller] = server.address
        yield caller


_ADDRESSES: dict[Comby, str] = {}


async def _sell(caller: Comby, count: int) -> None:
    async with asyncio.timeout(20):
        for number in range(count):
            await caller.dispatch(AddStock(sku=f"sku {number}", quantity=1), wait="executed")


async def _relay_is(caller: Comby, failing: bool, *, position: int) -> projection_pb2.Consumer:
    async with asyncio.timeout(20):
        while True:
            (consumer,) = await caller.list_consumers("relay")
            if (consumer.HasField("failure"), consumer.position) == (failing, position):
                return consumer
            await asyncio.sleep(0.02)


async def _told_by_health(caller: Comby) -> list[str]:
    process = await run_comby("health", "--target", _ADDRESSES[caller])
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert 0 == process.returncode
    return [" ".join(line.split()[:4]) for line in out.decode().splitlines()]
