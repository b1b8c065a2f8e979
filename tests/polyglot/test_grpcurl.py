"""grpcurl against a running shop: nothing but the address is known, all else is learnt by reflection."""

import json
import re
import uuid

import pytest

from tests.polyglot.grpcurl_program import DEADLINE_EXCEEDED, FAILED_PRECONDITION, INVALID_ARGUMENT, Grpcurl
from tests.polyglot.shop_process import ShopProcess

STOCK = "shop.stock.v1.StockService"
ORDER = "shop.order.v1.OrderService"
FACADE = "comby.facade.v1.FacadeService"


@pytest.fixture(scope="module")
def curl(grpcurl: str, shared_shop: ShopProcess) -> Grpcurl:
    """grpcurl on the running shop."""
    return Grpcurl(grpcurl, shared_shop.address)


def test_reflection_lists_every_service(curl: Grpcurl) -> None:
    listed = curl("list").split()
    assert [
        FACADE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        ORDER,
        STOCK,
    ] == sorted(listed)


@pytest.mark.parametrize(
    "service", [FACADE, ORDER, STOCK, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
)
def test_reflection_describes_every_service(curl: Grpcurl, service: str) -> None:
    assert f"{service} is a service:" in curl("describe", service)


def test_reflection_describes_a_command(curl: Grpcurl) -> None:
    described = curl("describe", f"{ORDER}.PlaceOrder")
    assert "rpc PlaceOrder ( .shop.order.v1.PlaceOrder ) returns ( .comby.facade.v1.CommandReceipt );" in described
    assert "string customer_email = 2" in curl("describe", "shop.order.v1.PlaceOrder")


def test_health(curl: Grpcurl) -> None:
    assert {"status": "SERVING"} == curl.call("grpc.health.v1.Health/Check", {})


def test_typed_calls_take_an_order_from_the_shelf_to_the_parcel(curl: Grpcurl) -> None:
    stock = curl.call(f"{STOCK}/AddStock", {"sku": "teapot", "quantity": 3})
    line = {"stock_id": stock["aggregateId"], "quantity": 2, "unit_price_cents": 1900}
    placed = curl.call(f"{ORDER}/PlaceOrder", {"customer_email": "curl@shop.example", "lines": [line]})
    assert "COMMAND_STAGE_EXECUTED" == placed["stage"]
    order = {"order_id": placed["aggregateId"]}
    paid = curl.call(f"{ORDER}/PayOrder", {**order, "amount_cents": 3800}, "-rpc-header", "comby-wait: projected")
    assert "COMMAND_STAGE_PROJECTED" == paid["stage"]
    covering = ("-rpc-header", f"comby-consistency-token: {paid['consistencyToken']}")
    read = curl.call(f"{ORDER}/GetOrder", order, *covering)
    assert ("ORDER_STATUS_PAID", "3800") == (read["status"], read["totalCents"])


def test_headers_that_are_sent_with_reflection_too(curl: Grpcurl) -> None:
    """`-H` is what people type; grpcurl sends it with its questions to reflection as well."""
    flags = ("-H", "comby-wait: projected", "-H", f"comby-request-id: {uuid.uuid4()}")
    receipt = curl.call(f"{STOCK}/AddStock", {"sku": "pot", "quantity": 1}, *flags)
    assert "COMMAND_STAGE_PROJECTED" == receipt["stage"]


def test_generic_call_with_any(curl: Grpcurl) -> None:
    request_id = str(uuid.uuid4())
    command = {"@type": "type.googleapis.com/shop.stock.v1.AddStock", "sku": "cup", "quantity": 7}
    accepted = curl.call(f"{FACADE}/DispatchCommand", {"command": command, "options": {"request_id": request_id}})
    assert (request_id, "COMMAND_STAGE_ACCEPTED") == (accepted["requestId"], accepted["stage"])
    executed = curl.call(f"{FACADE}/WaitForCommand", {"request_id": request_id, "stage": "COMMAND_STAGE_EXECUTED"})
    assert ("COMMAND_STAGE_EXECUTED", "1") == (executed["stage"], executed["aggregateVersion"])

    query = {"@type": "type.googleapis.com/shop.stock.v1.GetStock", "stock_id": accepted["aggregateId"]}
    token = executed["consistencyToken"]
    answered = curl.call(f"{FACADE}/DispatchQuery", {"query": query, "consistency_token": token})
    assert {
        "@type": "type.googleapis.com/shop.stock.v1.Stock",
        "stockId": accepted["aggregateId"],
        "sku": "cup",
        "available": 7,
    } == answered["response"]
    stored = curl.call(f"{FACADE}/GetCommand", {"request_id": request_id})
    assert ("Stock.AddStock", command["@type"]) == (stored["type"], stored["command"]["@type"])


def test_pipeline_from_standard_input(curl: Grpcurl) -> None:
    ids = [str(uuid.uuid4()) for _ in range(3)]
    command = {"@type": "type.googleapis.com/shop.stock.v1.AddStock", "sku": "cup", "quantity": 7}
    commands = [{"command": command, "options": {"request_id": one, "wait": "COMMAND_STAGE_EXECUTED"}} for one in ids]
    told = curl(f"{FACADE}/DispatchCommands", flags=("-d", json.dumps({"commands": commands})))
    receipts = re.findall(r'"requestId": "(.+?)",\s+"stage": "(.+?)"', told)
    assert sorted((one, "COMMAND_STAGE_EXECUTED") for one in ids) == sorted(receipts)


def test_stream_of_events_until_the_deadline(curl: Grpcurl) -> None:
    curl.call(f"{STOCK}/AddStock", {"sku": "spoon", "quantity": 1})
    message = json.dumps({"heartbeat": "0.2s", "filter": {"domains": ["Stock"]}})
    streamed = curl(f"{FACADE}/SubscribeEvents", flags=("-max-time", "2", "-d", message), code=DEADLINE_EXCEEDED)
    assert '"confirmed": {' in streamed
    assert '"@type": "type.googleapis.com/shop.stock.v1.StockAdded"' in streamed
    assert '"sku": "spoon"' in streamed
    assert '"caughtUp": {' in streamed
    assert streamed.count('"checkpoint": {') >= 2  # the heartbeat


def test_error_of_a_rule_with_its_details(curl: Grpcurl) -> None:
    stock = curl.call(f"{STOCK}/AddStock", {"sku": "fork", "quantity": 1})
    line = {"stock_id": stock["aggregateId"], "quantity": 1, "unit_price_cents": 500}
    placed = curl.call(f"{ORDER}/PlaceOrder", {"customer_email": "curl@shop.example", "lines": [line]})
    pay = {"order_id": placed["aggregateId"], "amount_cents": 499}
    details = curl.refused(f"{ORDER}/PayOrder", pay, code=FAILED_PRECONDITION)
    info = details["ErrorInfo"]
    assert ("WRONG_AMOUNT", "Order", {"total_cents": "500"}) == (info["reason"], info["domain"], info["metadata"])
    assert "COMMAND_STAGE_REJECTED" == details["CommandReceipt"]["stage"]


def test_error_of_a_message_names_the_fields(curl: Grpcurl) -> None:
    details = curl.refused(f"{ORDER}/PlaceOrder", {"customer_email": "nobody"}, code=INVALID_ARGUMENT)
    assert "INVALID_MESSAGE" == details["ErrorInfo"]["reason"]
    violated = [(one["field"], one["reason"]) for one in details["BadRequest"]["field_violations"]]
    assert [("customer_email", "string.email"), ("lines", "repeated.min_items")] == violated


def test_unknown_metadata_is_refused(curl: Grpcurl) -> None:
    details = curl.refused(
        f"{STOCK}/AddStock", {"sku": "x", "quantity": 1}, "-rpc-header", "comby-wiat: projected", code=INVALID_ARGUMENT
    )
    assert ("INVALID_METADATA", "comby-wiat") == (
        details["ErrorInfo"]["reason"],
        details["ErrorInfo"]["metadata"]["key"],
    )
