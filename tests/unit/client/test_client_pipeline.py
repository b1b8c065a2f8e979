"""The pipeline packs, bounds, survives a broken stream and leaves with every command answered."""

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2

from comby.client import Comby, CombyError, Rejected, Stage, Unauthenticated, Unavailable
from comby.facade.v1 import command_pb2
from shop.order.v1.order_pb2 import PayOrder
from tests.unit.client.scripted_facade import Context, Script, fail

Request = command_pb2.DispatchCommandsRequest
Response = command_pb2.DispatchCommandsResponse
Requests = AsyncIterator[Request]


def receipts(request: Request) -> Response:
    ids = [command.options.request_id for command in request.commands]
    accepted = command_pb2.COMMAND_STAGE_ACCEPTED
    return Response(receipts=[command_pb2.CommandReceipt(request_id=id_, stage=accepted) for id_ in ids])


class Server:
    """Answers everything, and remembers what it was sent."""

    def __init__(self, *, breaks_after: int | None = None) -> None:
        self.ids: list[list[str]] = []
        self.breaks_after = breaks_after

    async def __call__(self, requests: Requests, context: Context) -> AsyncIterator[Response]:
        async for request in requests:
            self.ids.append([command.options.request_id for command in request.commands])
            if self.breaks_after is not None and len(self.ids) > self.breaks_after:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "broken")
            yield receipts(request)


async def test_every_command_is_answered_and_packed(comby: Comby, script: Script) -> None:
    server = Server()
    script.pipelines = [server]
    async with comby.pipeline() as pipeline:
        futures = [await pipeline.dispatch(PayOrder(amount_cents=n), request_id=f"r{n}") for n in range(500)]
    got = [(await future).request_id for future in futures]
    assert [f"r{n}" for n in range(500)] == got
    assert [f"r{n}" for n in range(500)] == [id_ for ids in server.ids for id_ in ids]
    assert max(len(ids) for ids in server.ids) == 100


async def test_no_more_than_allowed_are_unanswered(comby: Comby, script: Script) -> None:
    seen: list[str] = []
    go = asyncio.Event()

    async def slow(requests: Requests, context: Context) -> AsyncIterator[Response]:
        async for request in requests:
            seen.extend(command.options.request_id for command in request.commands)
            await go.wait()
            yield receipts(request)

    script.pipelines = [slow]
    async with comby.pipeline(in_flight=3) as pipeline:
        for _ in range(3):
            await pipeline.dispatch(PayOrder())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pipeline.dispatch(PayOrder()), 0.1)
        go.set()
        receipt = await (await pipeline.dispatch(PayOrder()))
        assert receipt.stage == Stage.ACCEPTED
    assert len(set(seen)) == 4


async def test_a_broken_stream_is_opened_anew_and_the_rest_sent_again(comby: Comby, script: Script) -> None:
    first, second, third = Server(breaks_after=1), Server(breaks_after=0), Server()
    script.pipelines = [first, second, third]
    async with comby.pipeline() as pipeline:
        await (await pipeline.dispatch(PayOrder(), request_id="answered"))
        futures = [await pipeline.dispatch(PayOrder(), request_id=f"r{n}") for n in range(150)]
    assert len({(await future).request_id for future in futures}) == 150
    again = [id_ for ids in third.ids for id_ in ids]
    assert [f"r{n}" for n in range(150)] == again
    assert [sent.get("comby-retry") for sent in script.metadata] == [None, "true", "true"]


async def test_it_gives_up_in_the_end(comby: Comby, script: Script) -> None:
    script.pipelines = [Server(breaks_after=0) for _ in range(20)]
    pipeline = await comby.pipeline().__aenter__()
    future = await pipeline.dispatch(PayOrder())
    with pytest.raises(Unavailable):
        await future
    with pytest.raises(Unavailable):
        await pipeline.dispatch(PayOrder())
    with pytest.raises(Unavailable):
        await pipeline.__aexit__(None, None, None)
    assert len(script.metadata) == 5


async def test_what_does_not_heal_is_not_tried_again(comby: Comby, script: Script) -> None:
    async def refuse(requests: Requests, context: Context) -> AsyncIterator[Response]:
        await fail(context, grpc.StatusCode.UNAUTHENTICATED, "NO_TOKEN")
        yield Response()

    script.pipelines = [refuse]
    with pytest.raises(Unauthenticated):
        async with comby.pipeline() as pipeline:
            await pipeline.dispatch(PayOrder())


async def test_a_refusal_is_the_future_s_error(comby: Comby, script: Script) -> None:
    async def reject(requests: Requests, context: Context) -> AsyncIterator[Response]:
        async for request in requests:
            response = receipts(request)
            response.receipts[0].stage = command_pb2.COMMAND_STAGE_REJECTED
            response.receipts[0].error.code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
            response.receipts[0].error.details.add().Pack(
                error_details_pb2.ErrorInfo(reason="WRONG_AMOUNT", domain="Order")
            )
            yield response

    script.pipelines = [reject]
    async with comby.pipeline() as pipeline:
        future = await pipeline.dispatch(PayOrder(), wait="executed")
        with pytest.raises(Rejected) as raised:
            await future
    assert raised.value.reason == "WRONG_AMOUNT"


async def test_an_idle_stream_may_break_without_harm(comby: Comby, script: Script) -> None:
    async def once(requests: Requests, context: Context) -> AsyncIterator[Response]:
        yield receipts(await anext(requests))

    script.pipelines = [once, once, once]
    async with comby.pipeline() as pipeline:
        for _ in range(3):
            await (await pipeline.dispatch(PayOrder()))
            await asyncio.sleep(0.05)
    assert len(script.metadata) == 3


async def test_leaving_by_an_exception_waits_for_nothing(comby: Comby, script: Script) -> None:
    async def silent(requests: Requests, context: Context) -> AsyncIterator[Response]:
        await asyncio.sleep(60)
        yield Response()

    script.pipelines = [silent]
    pipeline = comby.pipeline()

    async def leave() -> None:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):  # noqa: PT012  # the block is the statement under test
        async with pipeline:
            future = await pipeline.dispatch(PayOrder())
            await leave()
    with pytest.raises((asyncio.CancelledError, CombyError)):
        await future


async def test_it_must_be_entered(comby: Comby) -> None:
    with pytest.raises(RuntimeError, match="enter the pipeline first"):
        await comby.pipeline().dispatch(PayOrder())


async def test_a_request_id_stands_once_in_a_pipeline(comby: Comby, script: Script) -> None:
    server = Server()
    script.pipelines = [server]
    async with comby.pipeline() as pipeline:
        await pipeline.dispatch(PayOrder(), request_id="one")
        with pytest.raises(ValueError, match="in the pipeline already"):
            await pipeline.dispatch(PayOrder(), request_id="one")
