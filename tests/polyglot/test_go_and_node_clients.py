"""The Go and the Node client, each against a running shop: what a caller without an SDK writes."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.polyglot.shop_clients import Follower, did, parse, position_of, run_client, start_client
from tests.polyglot.shop_process import ShopProcess

LOG_REPLACED_EXIT = 3
FOLLOW_SECONDS = 15.0


def test_places_waits_queries_and_resumes(client: list[str], shop: ShopProcess) -> None:
    lines = run_client(client, "tour", shop.address, "--customer", "tour@shop.example")
    accepted, executed = did(lines, "dispatch_command", "place_order")
    assert ("COMMAND_STAGE_ACCEPTED", "COMMAND_STAGE_EXECUTED") == (accepted["stage"], executed["stage"])
    assert accepted["aggregate_id"] == executed["aggregate_id"]
    (shipped,) = did(lines, "ship_order")
    assert ("COMMAND_STAGE_PROJECTED", 4) == (shipped["stage"], shipped["version"])

    early, waited, again = did(lines, "accept", "wait_for_command", "send_again")
    assert ("COMMAND_STAGE_ACCEPTED", "COMMAND_STAGE_PROJECTED") == (early["stage"], waited["stage"])
    assert (waited["request_id"], waited["event_ids"]) == (again["request_id"], again["event_ids"])

    (order,) = did(lines, "get_order")
    assert ("ORDER_STATUS_SHIPPED", "2500") == (order["order"]["status"], order["order"]["totalCents"])
    (listed,) = did(lines, "list_orders")
    (summary,) = listed["page"]["orders"]
    assert (shipped["aggregate_id"], "ORDER_STATUS_SHIPPED") == (summary["orderId"], summary["status"])
    (generic,) = did(lines, "dispatch_query")
    assert "type.googleapis.com/shop.order.v1.Order" == generic["response"]["@type"]
    assert order["order"]["trackingCode"] == generic["response"]["trackingCode"]

    handled = did(lines, "handle")
    assert [1, 2, 3, 4] == [line["version"] for line in handled]
    assert ["Order.OrderPlaced", "Order.OrderShipped"] == [handled[0]["type"], handled[-1]["type"]]
    assert "tour@shop.example" == handled[0]["event"]["customerEmail"]
    assert [line["position"] for line in handled[:-1]] == [line["position"] for line in did(lines, "break_stream")]


def test_reads_errors_and_their_details(client: list[str], shop: ShopProcess) -> None:
    refused = {line["what"]: line["error"] for line in did(run_client(client, "tour", shop.address), "refused")}
    assert {
        "rule": ("FAILED_PRECONDITION", "Order", "NOT_PLACED"),
        "fields": ("INVALID_ARGUMENT", "comby.facade.v1", "INVALID_MESSAGE"),
        "missing": ("NOT_FOUND", "comby.facade.v1", "AGGREGATE_NOT_FOUND"),
        "version": ("ABORTED", "comby.facade.v1", "VERSION_CONFLICT"),
        "request_id": ("ALREADY_EXISTS", "comby.facade.v1", "REQUEST_ID_REUSED"),
        "metadata": ("INVALID_ARGUMENT", "comby.facade.v1", "INVALID_METADATA"),
        "log": ("FAILED_PRECONDITION", "comby.facade.v1", "LOG_REPLACED"),
    } == {what: (error["code"], error["domain"], error["reason"]) for what, error in refused.items()}
    assert {"status": "ORDER_STATUS_SHIPPED"} == refused["rule"]["metadata"]
    assert "COMMAND_STAGE_REJECTED" == refused["rule"]["stage"]
    violations = [(one["field"], one["reason"]) for one in refused["fields"]["violations"]]
    assert [("customer_email", "string.email"), ("lines", "repeated.min_items")] == violations
    assert ("1", "4") == (refused["version"]["metadata"]["expected"], refused["version"]["metadata"]["actual"])


def test_is_told_when_to_try_again(client: list[str], serve_shop: Callable[..., ShopProcess]) -> None:
    shop = serve_shop("--limit", "streams_per_connection=2")
    lines = run_client(client, "overload", shop.address, "--streams", "4")
    assert [1, 2] == [line["number"] for line in did(lines, "open_stream")]
    (refused,) = did(lines, "refused")
    assert 3 == refused["number"]
    assert ("RESOURCE_EXHAUSTED", "OVERLOADED") == (refused["error"]["code"], refused["error"]["reason"])
    assert refused["error"]["retryAfterMs"] > 0


def test_a_subscriber_refuses_a_restored_log(client: list[str], shop: ShopProcess, tmp_path: Path) -> None:
    run_client(client, "sell", shop.address, "--orders", "1")
    follower = Follower(client, shop.address, [tmp_path / "journal"])
    follower.start()
    try:
        _followed(follower, at_least=5)
        shop.stop()
        _comby(tmp_path, "backup", "backup.db", "--store", shop.store)
        _comby(tmp_path, "restore", "backup.db", "--store", shop.store, "--force")
        shop.start()
        assert LOG_REPLACED_EXIT == follower.ended(), follower.log()
        last = parse(follower.log())[-1]
        assert ("fail", "LOG_REPLACED") == (last["did"], last["error"]["reason"])
    finally:
        follower.close()


def test_says_what_is_wrong_when_there_is_no_such_thing_to_do(client: list[str]) -> None:
    ended = start_client(client, "nothing", "127.0.0.1:1")
    out, err = ended.communicate(timeout=10)
    assert 1 == ended.returncode
    assert "follow" in out + err


def _followed(follower: Follower, *, at_least: int) -> None:
    deadline = time.monotonic() + FOLLOW_SECONDS
    while position_of(follower.journals[0]) < at_least:
        assert time.monotonic() < deadline, follower.log()
        time.sleep(0.02)


def _comby(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "comby.server.cli", *arguments]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
