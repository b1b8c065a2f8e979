"""Unary calls and streams against a real server."""

import asyncio
import time
import uuid

import grpc
import pytest

from comby.client import (
    Comby,
    DeadlineExceeded,
    NotFound,
    Overloaded,
    Rejected,
    Stage,
    Unavailable,
    connect,
)
from comby.facade.v1 import command_pb2
from shop.order.v1.order_client import OrderClient
from shop.order.v1.order_pb2 import Order, OrderLine, OrderPaid, PlaceOrder
from shop.order.v1.order_types import OrderReason
from tests.unit.client.scripted_facade import FAST, Script, fail

UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_typed_command_carries_its_fields_and_options(comby: Comby, script: Script) -> None:
    receipt = await OrderClient(comby).place_order(
        customer_email="a@b.c",
        lines=[OrderLine(stock_id="s", quantity=2)],
        wait="projected",
        expected_version=0,
        tenant_id="north",
    )
    sent = script.metadata[0]
    assert PlaceOrder(customer_email="a@b.c", lines=[OrderLine(stock_id="s", quantity=2)]) == script.requests[0]
    assert (
        sent["comby-wait"],
        sent["comby-expected-version"],
        sent["comby-tenant-id"],
    ) == ("projected", "0", "north")
    assert receipt.request_id == sent["comby-request-id"] == str(uuid.UUID(sent["comby-request-id"]))
    assert (
        receipt.stage,
        receipt.aggregate_id,
        receipt.aggregate_version,
        receipt.consistency_token,
    ) == (Stage.EXECUTED, "one", 3, "t")


async def test_a_ready_message_is_sent_as_it_is(comby: Comby, script: Script) -> None:
    message = PlaceOrder(customer_email="a@b.c")
    await OrderClient(comby).place_order(message, request_id="mine")
    assert message == script.requests[0]
    assert script.metadata[0]["comby-request-id"] == "mine"


async def test_within_adds_to_every_call(comby: Comby, script: Script) -> None:
    other = comby.within(tenant_id="south", correlation_id="c").within(causation_id="d")
    await OrderClient(other).place_order()
    await other.dispatch(PlaceOrder())
    sent = script.metadata[0]
    assert tuple(sent[f"comby-{key}-id"] for key in ("tenant", "correlation", "causation")) == ("south", "c", "d")
    generic = script.requests[1]
    assert isinstance(generic, command_pb2.DispatchCommandRequest)
    assert (generic.options.correlation_id, generic.options.causation_id) == ("c", "d")
    assert {"comby-tenant-id"} == {key for key in script.metadata[1] if key.startswith("comby-")}


async def test_a_query_names_the_token_it_must_cover(comby: Comby, script: Script) -> None:
    order = await OrderClient(comby).get_order(order_id="one", consistency="t1")
    assert Order(order_id="one") == order
    assert script.metadata[0]["comby-consistency-token"] == "t1"


async def test_a_streaming_query_is_an_async_iterator(comby: Comby) -> None:
    assert [order.total_cents async for order in OrderClient(comby).watch_order(order_id="one")] == [1, 2]


async def test_generic_calls(comby: Comby, script: Script) -> None:
    assert Order(order_id="one") == await comby.query(PlaceOrder(), Order)
    with pytest.raises(TypeError, match=r"the answer is shop\.order\.v1\.Order"):
        await comby.query(PlaceOrder(), OrderPaid)
    state = await comby.get_aggregate(Order, "one", version=2)
    assert (Order(order_id="one"), 2) == (state.state, state.version)
    assert getattr(script.requests[2], "aggregate") == "Order.Order"  # noqa: B009
    read = [recorded async for recorded in comby.read_events(OrderPaid, aggregate_id="one")]
    assert [(recorded.position, recorded.event.amount_cents) for recorded in read] == [(1, 1), (2, 2)]
    assert list(getattr(script.requests[3], "filter").domains) == ["Order"]  # noqa: B009


async def test_a_command_is_sent_again_under_the_same_id(comby: Comby, script: Script) -> None:
    script.unary = [
        lambda c: fail(c, UNAVAILABLE, "SHUTTING_DOWN"),
        lambda c: fail(c, UNAVAILABLE, "STORE_UNAVAILABLE"),
    ]
    await OrderClient(comby).place_order()
    assert len(script.metadata) == 3
    assert len({sent["comby-request-id"] for sent in script.metadata}) == 1
    assert [sent.get("comby-retry") for sent in script.metadata] == [None, "true", "true"]


async def test_a_query_is_sent_again_without_a_word(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, EXHAUSTED, "OVERLOADED", retry=True)]
    await OrderClient(comby).get_order(order_id="one")
    assert [sent.get("comby-retry") for sent in script.metadata] == [None, None]


async def test_attempts_are_bounded(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, UNAVAILABLE, "SHUTTING_DOWN")] * 10
    with pytest.raises(Unavailable) as raised:
        await OrderClient(comby).get_order(order_id="one")
    assert (len(script.requests), raised.value.request_id) == (5, "the-request")


async def test_overload_without_a_delay_is_not_retried(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, EXHAUSTED, "OVERLOADED")]
    with pytest.raises(Overloaded):
        await OrderClient(comby).place_order()
    assert len(script.requests) == 1


async def test_a_retry_never_outlives_the_time_out(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: asyncio.sleep(5)]
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await OrderClient(comby).place_order(timeout=0.1)
    assert len(script.requests) == 1
    assert time.monotonic() - began < 2


async def test_what_may_not_be_sent_twice_is_not(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, UNAVAILABLE, "SHUTTING_DOWN")]
    with pytest.raises(Unavailable):
        await comby.retry_command("r")
    assert len(script.requests) == 1


async def test_a_rejection_is_typed(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, grpc.StatusCode.FAILED_PRECONDITION, "NOT_PAID", domain="Order", status="PLACED")]
    with pytest.raises(Rejected) as raised:
        await OrderClient(comby).place_order()
    assert raised.value.reason == OrderReason.NOT_PAID
    assert raised.value.metadata == {"status": "PLACED"}


async def test_not_found(comby: Comby, script: Script) -> None:
    script.unary = [lambda c: fail(c, grpc.StatusCode.NOT_FOUND, "AGGREGATE_NOT_FOUND", aggregate_id="one")]
    with pytest.raises(NotFound):
        await OrderClient(comby).get_order(order_id="one")


async def test_a_receipt_waits_until_the_stage_is_reached(comby: Comby, script: Script) -> None:
    script.stage = command_pb2.COMMAND_STAGE_ACCEPTED
    script.stages = [command_pb2.COMMAND_STAGE_ACCEPTED, command_pb2.COMMAND_STAGE_PROJECTED]
    receipt = await comby.dispatch(PlaceOrder(), tenant_id="north")
    assert receipt.stage == Stage.ACCEPTED
    waited = await receipt.wait("executed")
    assert (Stage.PROJECTED, receipt.request_id) == (waited.stage, waited.request_id)
    assert [sent["comby-tenant-id"] for sent in script.metadata] == ["north"] * 3
    assert waited is await waited.wait("projected")


async def test_a_wait_ends_with_the_stage_reached(comby: Comby, script: Script) -> None:
    script.stages = [command_pb2.COMMAND_STAGE_ACCEPTED] * 3
    assert (await comby.wait("r", "projected", timeout=0)).stage == Stage.ACCEPTED


async def test_a_wait_ends_with_a_rejection_inside(comby: Comby, script: Script) -> None:
    script.stages = [command_pb2.COMMAND_STAGE_REJECTED]
    assert (await comby.wait("r")).stage == Stage.REJECTED


async def test_no_server_is_told_in_time() -> None:
    with pytest.raises(Unavailable, match=r"no server answers at 127\.0\.0\.1:1 within 0\.2 s"):
        async with connect("127.0.0.1:1", ready_timeout=0.2):
            pass


async def test_a_ready_channel_is_used_and_left_open(target: str) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        for _ in range(2):
            async with connect("", channel=channel, retry=FAST) as comby:
                await OrderClient(comby).get_order(order_id="one")
