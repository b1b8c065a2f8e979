"""A subscription resumes after the last handled event, over real sockets."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import grpc
import pytest
from google.protobuf.message import DecodeError

from comby.client import (
    CaughtUp,
    Checkpoint,
    Comby,
    Connected,
    Disconnected,
    LogReplaced,
    OutOfRange,
    RetryPolicy,
    Status,
)
from comby.facade.v1 import event_pb2
from shop.order.v1.order_pb2 import OrderPaid, OrderPlaced
from tests.unit.client.scripted_facade import LOG, Context, Script, event, fail

Response = event_pb2.SubscribeEventsResponse
Request = event_pb2.SubscribeEventsRequest


def confirmed(after: int = 0) -> Response:
    return Response(confirmed=Response.Confirmed(subscription_id="s", log=LOG, head=9, after=after))


def events(*positions: int) -> Response:
    return Response(events=Response.Events(events=[event(position) for position in positions]))


def checkpoint(position: int) -> Response:
    return Response(checkpoint=Response.Checkpoint(position=position))


def caught_up(position: int) -> Response:
    return Response(caught_up=Response.CaughtUp(position=position))


def stream(*responses: Response, then: str = "end"):  # type: ignore[no-untyped-def]
    """Return a stream that sends these and then ends, breaks or hangs."""

    async def run(request: Request, context: Context) -> AsyncIterator[Response]:
        for response in responses:
            yield response
        if then == "break":
            await context.abort(grpc.StatusCode.INTERNAL, "broken")
        if then == "hang":
            await asyncio.sleep(60)

    return run


def sent(script: Script) -> list[Request]:
    return [request for request in script.requests if isinstance(request, Request)]


async def test_it_resumes_after_the_last_handled_event(comby: Comby, script: Script) -> None:
    script.subscriptions = [
        stream(confirmed(), events(1, 2), then="break"),
        stream(confirmed(2), events(2, 3), then="hang"),
    ]
    seen = []
    async with comby.subscribe(OrderPaid, after=0) as subscription:
        async for recorded in subscription:
            seen.append((recorded.position, recorded.event.amount_cents))
            assert recorded.position - 1 == subscription.position
            if recorded.position == 3:
                break
    assert seen == [(1, 1), (2, 2), (3, 3)]
    first, second = sent(script)
    assert (first.after, second.after) == (0, 2)
    assert not first.HasField("log")
    assert second.log == LOG
    assert list(second.filter.types) == ["Order.OrderPaid"]
    assert subscription.position == 2  # the third was not handled to the end


async def test_an_event_is_handled_when_the_next_is_asked_for(comby: Comby, script: Script) -> None:
    script.subscriptions = [stream(confirmed(), events(1, 2), checkpoint(7), then="hang")]
    async with comby.subscribe(OrderPaid, after=0) as subscription:
        assert subscription.position == 0
        await anext(subscription)
        assert subscription.position == 0
        await anext(subscription)
        assert subscription.position == 1
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(subscription), 0.1)
        assert subscription.position == 7


async def test_a_consumer_may_stop_waiting_and_ask_again(comby: Comby, script: Script) -> None:
    go = asyncio.Event()

    async def late(request: Request, context: Context) -> AsyncIterator[Response]:
        yield confirmed()
        await go.wait()
        yield events(1)
        await asyncio.sleep(60)

    script.subscriptions = [late]
    async with comby.subscribe(OrderPaid) as subscription:
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(subscription), 0.02)
        go.set()
        assert (await anext(subscription)).position == 1
    assert len(sent(script)) == 1


async def test_a_silent_stream_is_opened_anew(comby: Comby, script: Script) -> None:
    script.subscriptions = [stream(confirmed(), then="hang"), stream(confirmed(), events(1), then="hang")]
    told: list[Status] = []
    async with comby.subscribe(OrderPaid, heartbeat=0.1, on_status=told.append) as subscription:
        assert (await anext(subscription)).position == 1
    [broken] = [status for status in told if isinstance(status, Disconnected)]
    assert broken.error.message == "the server was silent for 0.3 s"


async def test_a_goodbye_moves_on_elsewhere(comby: Comby, script: Script) -> None:
    goodbye = Response(goodbye=Response.Goodbye(reason="SHUTTING_DOWN", resume_after=4))
    script.subscriptions = [stream(confirmed(), events(1), goodbye), stream(confirmed(4), events(5), then="hang")]
    async with comby.subscribe(OrderPaid) as subscription:
        assert [(await anext(subscription)).position, (await anext(subscription)).position] == [1, 5]
    assert [request.after for request in sent(script)] == [0, 4]


async def test_the_user_is_told(comby: Comby, script: Script) -> None:
    script.subscriptions = [
        stream(confirmed(), events(1), caught_up(1), checkpoint(5)),
        stream(confirmed(5), events(6), then="hang"),
    ]
    told: list[Status] = []
    async with comby.subscribe(OrderPaid, on_status=told.append) as subscription:
        await anext(subscription)
        assert not subscription.caught_up.is_set()
        await anext(subscription)
    assert [Connected, CaughtUp, Checkpoint, Disconnected, Connected] == [type(status) for status in told]
    assert [status.position for status in told if isinstance(status, CaughtUp | Checkpoint)] == [1, 5]


async def test_caught_up_is_a_signal(comby: Comby, script: Script) -> None:
    script.subscriptions = [stream(confirmed(), events(1), caught_up(1), then="hang")]
    subscription = comby.subscribe(OrderPaid)

    async def consume() -> None:
        async for _ in subscription:
            pass

    consuming = asyncio.create_task(consume())
    await asyncio.wait_for(subscription.caught_up.wait(), 5)
    assert subscription.position == 1
    await subscription.aclose()
    await asyncio.wait_for(consuming, 5)


async def test_a_start_from_the_head_is_kept_over_a_break(comby: Comby, script: Script) -> None:
    script.subscriptions = [
        stream(then="break"),
        stream(confirmed(40), then="break"),
        stream(confirmed(40), events(41), then="hang"),
    ]
    async with comby.subscribe(OrderPaid, from_head=True) as subscription:
        assert subscription.position is None
        assert (await anext(subscription)).position == 41
    assert [request.WhichOneof("start") for request in sent(script)] == ["from_head", "from_head", "after"]
    assert sent(script)[2].after == 40


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (grpc.StatusCode.FAILED_PRECONDITION, "LOG_REPLACED", LogReplaced),
        (grpc.StatusCode.OUT_OF_RANGE, "POSITION_BEYOND_HEAD", OutOfRange),
    ],
)
async def test_what_does_not_heal_is_raised(
    comby: Comby, script: Script, code: grpc.StatusCode, reason: str, expected: type[Exception]
) -> None:
    async def refuse(request: Request, context: Context) -> AsyncIterator[Response]:
        await fail(context, code, reason)
        yield confirmed()

    script.subscriptions = [stream(confirmed(), events(1), then="break"), refuse]
    subscription = comby.subscribe(OrderPaid)
    await anext(subscription)
    with pytest.raises(expected):
        await anext(subscription)
    with pytest.raises(StopAsyncIteration):
        await anext(subscription)


async def test_events_of_every_known_type_come_without_types(comby: Comby, script: Script) -> None:
    unknown = event(2)
    unknown.plain.type_url = "type.googleapis.com/no.such.Event"
    batch = Response(events=Response.Events(events=[event(1), unknown]))
    script.subscriptions = [stream(confirmed(), batch, then="hang")]
    async with comby.subscribe() as subscription:
        assert OrderPaid(amount_cents=1) == (await anext(subscription)).event
        assert unknown.plain == (await anext(subscription)).event


async def test_the_request_names_start_and_filter(comby: Comby, script: Script) -> None:
    script.subscriptions = [stream(confirmed(3), events(4), then="hang")]
    async with comby.subscribe(OrderPaid, OrderPlaced, after_token="t", aggregate_id="one") as subscription:
        await anext(subscription)
    [request] = sent(script)
    assert (
        request.after_token,
        request.filter.aggregate_id,
        list(request.filter.domains),
        list(request.filter.types),
    ) == ("t", "one", ["Order"], ["Order.OrderPaid", "Order.OrderPlaced"])
    assert request.heartbeat.ToMilliseconds() == 5_000


def test_two_starts_are_refused(comby: Comby) -> None:
    with pytest.raises(ValueError, match="one start only, not after and from_head"):
        comby.subscribe(OrderPaid, after=1, from_head=True)


async def test_an_event_that_can_not_be_read_is_never_passed_over(comby: Comby, script: Script) -> None:
    broken = event(2)
    broken.plain.value = b"\xff"
    batch = Response(events=Response.Events(events=[event(1), broken]))
    script.subscriptions = [stream(confirmed(), batch, then="hang")]
    async with comby.subscribe(OrderPaid) as subscription:
        await anext(subscription)
        for _ in range(2):
            with pytest.raises(DecodeError):
                await anext(subscription)
        assert subscription.position == 1


async def test_closing_ends_the_pause_between_two_streams(comby: Comby, script: Script) -> None:
    script.subscriptions = [stream(then="break")] * 100
    disconnected = asyncio.Event()
    slow = Comby(replace(comby._connection, retry=RetryPolicy(initial=60, maximum=60)))
    subscription = slow.subscribe(OrderPaid, on_status=lambda _: disconnected.set())
    consuming = asyncio.create_task(anext(subscription, None))
    await asyncio.wait_for(disconnected.wait(), 5)
    await subscription.aclose()
    assert await asyncio.wait_for(consuming, 5) is None
