"""buf curl against a running shop: the same as grpcurl, by another implementation of gRPC and of reflection."""

import base64
import json
import subprocess
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.polyglot.shop_process import ShopProcess

STOCK = "shop.stock.v1.StockService"
FACADE = "comby.facade.v1.FacadeService"


class BufCurl:
    """buf curl on one address."""

    def __init__(self, program: str, address: str) -> None:
        self._command = [program, "curl", "--protocol", "grpc", "--http2-prior-knowledge"]
        self._url = f"http://{address}"

    def __call__(self, *flags: str, method: str = "", fails: bool = False) -> str:
        """Run it and return what it printed."""
        command = [*self._command, *flags, f"{self._url}/{method}"]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert fails == (ended.returncode != 0), ended.stdout + ended.stderr
        return ended.stderr if fails and not ended.stdout else ended.stdout

    def call(self, method: str, message: dict[str, Any], *flags: str) -> Any:
        """Call a unary method and return its answer."""
        return json.loads(self("-d", json.dumps(message), *flags, method=method))


@pytest.fixture(scope="module")
def curl(buf: str, shared_shop: ShopProcess) -> BufCurl:
    """buf curl on the running shop."""
    return BufCurl(buf, shared_shop.address)


@pytest.mark.parametrize("protocol", ["grpc-v1", "grpc-v1alpha"])
def test_reflection_lists_every_method(curl: BufCurl, protocol: str) -> None:
    listed = curl("--reflect-protocol", protocol, "--list-methods").split()
    assert {f"{FACADE}/SubscribeEvents", "shop.order.v1.OrderService/PlaceOrder", f"{STOCK}/AddStock"} <= set(listed)


def test_typed_and_generic_calls(curl: BufCurl) -> None:
    typed = curl.call(f"{STOCK}/AddStock", {"sku": "cup", "quantity": 2}, "-H", "comby-wait: projected")
    assert "COMMAND_STAGE_PROJECTED" == typed["stage"]
    command = {"@type": "type.googleapis.com/shop.stock.v1.AddStock", "sku": "pot", "quantity": 1}
    generic = curl.call(
        f"{FACADE}/DispatchCommand", {"command": command, "options": {"wait": "COMMAND_STAGE_EXECUTED"}}
    )
    assert "COMMAND_STAGE_EXECUTED" == generic["stage"]
    read = curl.call(f"{STOCK}/GetStock", {"stock_id": typed["aggregateId"]})
    assert ("cup", 2) == (read["sku"], read["available"])


def test_stream_of_events_until_the_time_out(curl: BufCurl) -> None:
    curl.call(f"{STOCK}/AddStock", {"sku": "spoon", "quantity": 1})
    streamed = curl("--timeout", "2s", "-d", "{}", method=f"{FACADE}/SubscribeEvents", fails=True)
    assert '"@type": "type.googleapis.com/shop.stock.v1.StockAdded"' in streamed
    assert '"caughtUp"' in streamed


def test_error_with_its_details(curl: BufCurl) -> None:
    told = json.loads(curl("-d", '{"stock_id": "none"}', method=f"{STOCK}/GetStock", fails=True))
    assert "invalid_argument" == told["code"]
    details = {one["type"]: base64.b64decode(one["value"] + "==") for one in told["details"]}
    info = error_details_pb2.ErrorInfo.FromString(details["google.rpc.ErrorInfo"])
    assert ("INVALID_MESSAGE", "comby.facade.v1") == (info.reason, info.domain)
    request = error_details_pb2.BadRequest.FromString(details["google.rpc.BadRequest"])
    assert [("stock_id", "string.uuid")] == [(one.field, one.reason) for one in request.field_violations]
