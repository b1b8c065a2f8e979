"""The limits: grpc.aio servers that do nothing but answer, with the same options as comby's.

`receipt` answers every unary call with a ready receipt. `edge` is comby's own edge, which answers a ready receipt in place of a command's.
`forgetful` is all of comby but its store, which takes no time and keeps nothing: what is left is the best that any store could give.
`batches N` streams ready batches of 100 events until N were sent.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any
from uuid import uuid4

import grpc
import uvloop
from grpc import aio

from benchmarks.app import app
from comby.facade.v1 import command_pb2, event_pb2
from comby.server import Facade
from comby.server.application.limits import Limits
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.identity import Position, Version
from comby.server.ports.event_store import Committed, EventStore, FinishCommand, Verdict, Write
from comby.server.rpc.grpc_server import build_server, server_options
from comby.server.rpc.health import Health
from comby.server.rpc.services import build_table, services_of
from comby.server.stores.sqlite import open_sqlite

BATCH = 100
AGGREGATE_ID = str(uuid4())


def ready_receipt() -> bytes:
    """Return a receipt such as comby sends."""
    return command_pb2.CommandReceipt(
        request_id=str(uuid4()),
        stage=command_pb2.COMMAND_STAGE_EXECUTED,
        aggregate_id=str(uuid4()),
        aggregate_version=1,
        consistency_token="0123456789abcdef1f",
        event_ids=[str(uuid4())],
    ).SerializeToString()


def ready_batch() -> bytes:
    """Return a SubscribeEventsResponse of 100 events such as comby sends."""
    answer = event_pb2.SubscribeEventsResponse()
    for position in range(1, BATCH + 1):
        event = answer.events.events.add(
            position=position,
            event_id=str(uuid4()),
            domain="Counter",
            aggregate_id=str(uuid4()),
            version=1,
            type="Counter.CounterStarted",
            revision=1,
            request_id=str(uuid4()),
        )
        event.recorded_at.GetCurrentTime()
        event.context.tenant_id = "default"
        event.context.correlation_id = str(uuid4())
        event.context.causation_id = str(uuid4())
        event.plain.type_url = "type.googleapis.com/bench.counter.v1.CounterStarted"
        event.plain.value = b"\x0a\x07counter"
    return answer.SerializeToString()


class Receipts(grpc.GenericRpcHandler):
    """Answers every path."""

    def __init__(self) -> None:
        receipt = ready_receipt()

        async def answer(raw: bytes, context: Any) -> bytes:
            return receipt

        self._handler = grpc.unary_unary_rpc_method_handler(answer)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return self._handler


class Batches(grpc.GenericRpcHandler):
    """Streams a number of events on every path, then says that it has caught up."""

    def __init__(self, events: int) -> None:
        batch = ready_batch()
        end = event_pb2.SubscribeEventsResponse()
        end.caught_up.position = events
        last = end.SerializeToString()

        async def answer(raw: bytes, context: Any) -> AsyncIterator[bytes]:
            for _ in range(events // BATCH):
                yield batch
            yield last

        self._handler = grpc.unary_stream_rpc_method_handler(answer)

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return self._handler


class StorelessFacade(Facade):
    """Answers every command at once, and stores nothing: what is left is the edge."""

    def dispatch_command(self, request: CommandRequest) -> asyncio.Future[Receipt]:
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        future.set_result(
            Receipt(
                request_id=str(uuid4()),
                stage=Stage.EXECUTED,
                aggregate_id=AGGREGATE_ID,
                aggregate_version=Version(1),
                token="0123456789abcdef1f",
                event_ids=(AGGREGATE_ID,),
            )
        )
        return future


class ForgetfulEvents:
    """Says of each command that it is committed, and keeps nothing of it."""

    lingers = 6  # as the store does that has more unary commands by it

    def __init__(self, events: EventStore) -> None:
        self._events = events
        self._last = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._events, name)

    async def commit(self, writes: Sequence[Write]) -> list[Verdict]:
        verdicts: list[Verdict] = []
        for write in writes:
            assert isinstance(write, FinishCommand)
            self._last += len(write.events)
            verdicts.append(Committed(Position(self._last), time.time_ns() // 1000))
        return verdicts


async def serve(kind: str, facade: Facade) -> None:
    """Serve a facade until the process is ended."""
    app(facade)
    async with facade:
        table = build_table(facade, Health(services_of(facade)), "0")
        server, port = build_server(table, facade.limits, listen="127.0.0.1:0", tls=None)
        await server.start()
        print(f"bare {kind} on 127.0.0.1:{port}", flush=True)
        await server.wait_for_termination()


async def main(kind: str, *arguments: str) -> None:
    """Serve until the process is ended."""
    if kind in ("edge", "forgetful"):
        async with open_sqlite("sqlite://:memory:") as store:
            if kind == "edge":
                await serve(kind, StorelessFacade("bench", store))
            else:
                await serve(kind, Facade("bench", replace(store, events=ForgetfulEvents(store.events))))
        return
    handler = Receipts() if kind == "receipt" else Batches(int(arguments[0]))
    server = aio.server(handlers=[handler], options=server_options(Limits()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"bare {kind} on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
