"""The limits: grpc.aio servers that do nothing but answer, with the same options as comby's.

`receipt` answers every unary call with a ready receipt. `batches N` streams ready batches of 100 events until N were sent.
"""

import sys
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import grpc
import uvloop
from grpc import aio

from comby.facade.v1 import command_pb2, event_pb2
from comby.server.application.limits import Limits
from comby.server.rpc.grpc_server import server_options

BATCH = 100


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


async def main(kind: str, *arguments: str) -> None:
    """Serve until the process is ended."""
    handler = Receipts() if kind == "receipt" else Batches(int(arguments[0]))
    server = aio.server(handlers=[handler], options=server_options(Limits()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"bare {kind} on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
