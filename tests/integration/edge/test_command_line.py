"""The command line: what starts, and one clear line for what does not."""

import asyncio
import signal
import socket
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from grpc import aio

from comby.facade.v1 import command_pb2
from shop.order.v1 import order_pb2
from tests.integration.edge.calls import ORDERS, place
from tests.integration.edge.processes import run_comby, serving

SHOP = ("--app", "shop.app:app")
FREE = ("--listen", "127.0.0.1:0")
MEMORY = ("--store", "sqlite://:memory:")


async def _refused(*arguments: str, **environment: str) -> str:
    process = await run_comby(*arguments, **environment)
    out, error = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, out) == (1, b""), error.decode()
    lines = error.decode().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


async def test_the_line_that_tells_that_it_serves(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/comby.db"
    async with serving(store=store) as server:
        assert server.line == f"comby serving shop on {server.address} ({store})"


async def test_what_was_placed_is_there_after_a_kill(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/comby.db"
    async with serving(store=store) as server, aio.insecure_channel(server.address) as channel:
        raw = await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString())
        server.process.kill()
    order_id = command_pb2.CommandReceipt.FromString(raw).aggregate_id
    async with serving(store=store) as server, aio.insecure_channel(server.address) as channel:
        query = order_pb2.GetOrder(order_id=order_id).SerializeToString()
        assert order_id == order_pb2.Order.FromString(await channel.unary_unary(f"{ORDERS}GetOrder")(query)).order_id


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--app", "nothing.app:app", *FREE, *MEMORY), "nothing.app can not be imported"),
        (("serve", "--app", "shop.app:nothing", *FREE, *MEMORY), "shop.app has no function nothing"),
        (("serve", "--app", "shop", *FREE, *MEMORY), "write it as package.module:function"),
        (("serve", *FREE, *MEMORY), "write it as package.module:function"),
        (("serve", *SHOP, *FREE, "--store", "mysql://x"), "no store"),
        (("serve", *SHOP, "--listen", "0.0.0.0:0", *MEMORY), "allow_insecure_public"),
        (("serve", *SHOP, "--listen", "127.0.0.1", *MEMORY), "write it as host:port"),
        (("serve", *SHOP, "--listen", "127.0.0.1:65536", *MEMORY), "write it as host:port"),
        (("serve", *SHOP, *FREE, *MEMORY, "--internal-listen", "127.0.0.1:99999"), "write it as host:port"),
        (("serve", *SHOP, *FREE, *MEMORY, "--internal-listen", "0.0.0.0:0"), "set internal_address"),
        (("serve", *SHOP, *FREE, *MEMORY, "--internal-listen", "[::]:0"), "set internal_address"),
        (("serve", *SHOP, *FREE, *MEMORY, "--internal-listen", ":0"), "set internal_address"),
        (("serve", *SHOP, *FREE, "--store", "sqlite://file.db"), "three slashes"),
        (("serve", *SHOP, *FREE, "--store", "sqlite:///"), "three slashes"),
        (("serve", *SHOP, *FREE, "--store", "sqlite:"), "not a sqlite:// URL"),
        (("backup", "file", *MEMORY), "in memory"),
        (("backup", "file", "--store", "sqlite://file.db"), "three slashes"),
        (("restore", "file", *MEMORY), "in memory"),
        (("serve", *SHOP, *FREE, *MEMORY, "--limit", "nonsense=1"), "nonsense"),
        (("serve", *SHOP, *FREE, *MEMORY, "--limit", "pending_calls=0"), "pending_calls"),
        (("serve", *SHOP, *FREE, *MEMORY, "--log-level", "loud"), "log_level"),
        (("serve", *SHOP, *FREE, *MEMORY, "--tls-key", "none.pem"), "tls_certificate and tls_key go together"),
        (("serve", *SHOP, *FREE, *MEMORY, "--tls-key", __file__, "--tls-certificate", __file__), "in PEM"),
        (("dev", *SHOP, "--listen", "0.0.0.0:0"), "can be reached by others"),
    ],
)
async def test_one_line_for_what_is_wrong(arguments: tuple[str, ...], told: str) -> None:
    assert told in await _refused(*arguments)


async def test_the_environment_is_read_and_flags_win() -> None:
    assert "pending_calls" in await _refused("serve", *SHOP, *FREE, *MEMORY, COMBY_PENDING_CALLS="many")
    async with serving("--limit", "pending_calls=7"):
        pass


async def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert address in await _refused("serve", *SHOP, "--listen", address, *MEMORY)


async def test_a_store_in_use(tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path}/comby.db"
    async with serving(store=store):
        assert "the store can not be opened" in await _refused("serve", *SHOP, *FREE, "--store", store)


async def test_an_app_that_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half.py").write_text(
        "from shop.order_aggregate import OrderAggregate\ndef app(facade): facade.register(OrderAggregate, OrderAggregate)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert "the app is refused" in await _refused("serve", "--app", "half:app", *FREE, *MEMORY)


async def test_backup_and_restore(tmp_path: Path) -> None:
    store, other = (f"sqlite:///{tmp_path}/{name}.db" for name in ("one", "two"))
    async with serving(store=store) as server, aio.insecure_channel(server.address) as channel:
        await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString())
        for arguments in (
            ("backup", "--store", store, f"{tmp_path}/file"),
            ("restore", f"{tmp_path}/file", "--store", other),
        ):
            process = await run_comby(*arguments)
            assert await asyncio.wait_for(process.wait(), 20) == 0
    assert "nothing was restored" in await _refused("restore", f"{tmp_path}/file", "--store", other)
    async with serving(store=other):
        pass


async def test_dev_reloads_on_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "reloaded.py"
    source.write_text("from shop.app import app\n")
    monkeypatch.chdir(tmp_path)
    process = await run_comby("dev", "--app", "reloaded:app", *FREE)
    assert process.stdout is not None
    first = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert first.startswith("comby serving reloaded on 127.0.0.1:")
    assert (tmp_path / "comby.db").exists()
    await asyncio.sleep(0.5)
    source.write_text("from shop.app import app\n\n")
    again = (await asyncio.wait_for(process.stdout.readline(), 20)).decode()
    assert again.startswith("comby serving reloaded on 127.0.0.1:")
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 12) == 0


async def test_a_server_ends_with_the_dev_that_is_killed(tmp_path: Path) -> None:
    """Seen failing: a server that goes on, and keeps the store from the next one."""
    store = f"sqlite:///{tmp_path}/comby.db"
    async with serving(command="dev", store=store) as dev:
        [server] = psutil.Process(dev.process.pid).children()
        dev.process.kill()
        try:
            await asyncio.to_thread(server.wait, 12)
        finally:
            with suppress(psutil.NoSuchProcess):
                server.kill()
    async with serving(command="dev", store=store) as dev:
        dev.process.terminate()
        assert await asyncio.wait_for(dev.process.wait(), 12) == 0
