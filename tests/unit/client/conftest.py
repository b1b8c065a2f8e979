"""A scripted facade behind a real socket, and the SDK connected to it."""

from collections.abc import AsyncIterator

import grpc
import pytest

from comby.client import Comby, connect
from comby.facade.v1 import facade_service_pb2_grpc
from shop.order.v1 import order_pb2_grpc
from tests.unit.client.scripted_facade import FAST, Script


@pytest.fixture
def script() -> Script:
    return Script()  # type: ignore[abstract]  # it answers what these tests call


@pytest.fixture
async def target(script: Script) -> AsyncIterator[str]:
    server = grpc.aio.server()
    facade_service_pb2_grpc.add_FacadeServiceServicer_to_server(script, server)
    order_pb2_grpc.add_OrderServiceServicer_to_server(script, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(0)


@pytest.fixture
async def comby(target: str) -> AsyncIterator[Comby]:
    async with connect(target, retry=FAST) as connected:
        yield connected
