"""What no good client sends. The server answers with documented codes, and lives."""

import asyncio
import os
import random
import struct
from collections import Counter
from collections.abc import Sequence

import grpc
import pytest
from google.protobuf.message import Message
from grpc import aio
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from comby.facade.v1 import command_pb2, event_pb2, facade_service_pb2, model_pb2, projection_pb2, query_pb2
from shop.order.v1 import order_pb2
from shop.stock.v1 import stock_pb2
from tests.integration.edge.calls import ORDERS, place
from tests.integration.edge.processes import Served, serving

ROUNDS = int(os.environ.get("COMBY_TEST_HOSTILE_MESSAGES", "10000"))
"""Messages in all; the long form is 100,000."""
IN_FLIGHT = 32
ID = "0190a6b0-1111-7000-8000-000000000001"
NEVER = {grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE}
MADE_BY_THE_CLIENT = "Internal error from Core"
"""What grpc.aio tells, as INTERNAL, when it still writes to a stream that the server has ended: the server's status is lost then."""
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize("path", [b"/\xff\xfe", b"\xff", b"/shop.order.v1.OrderService/\x80", b"/" + b"\xf0\x28" * 50])
async def test_a_path_that_is_not_utf8(path: bytes) -> None:
    """From grpcio 1.84.2 on one such call ended the accept loop for good."""
    async with serving() as server:
        host, _, port = server.address.rpartition(":")
        for _ in range(3):
            reader, writer = await asyncio.open_connection(host, int(port))
            headers = ((b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"a"))
            more = ((b"te", b"trailers"), (b"content-type", b"application/grpc"))
            block = b"".join(_literal(name, value) for name, value in (*headers, *more))
            writer.write(PREFACE + _frame(4, 0, 0) + _frame(1, 4, 1, block) + _frame(0, 1, 1, b"\0\0\0\0\0"))
            await writer.drain()
            await asyncio.wait_for(reader.read(1), 5)
            writer.close()
        await _answers(server)


@pytest.mark.timeout(600)
async def test_mutated_and_random_bytes_into_every_method() -> None:
    seed = int(os.environ.get("COMBY_TEST_SEED", random.randrange(2**32)))
    chance = random.Random(seed)
    seeds = _seeds()
    async with serving("--log-level", "error") as server, aio.insecure_channel(server.address) as channel:
        codes: Counter[grpc.StatusCode] = Counter()
        room = asyncio.Semaphore(IN_FLIGHT)

        async def one(path: str, kind: str, raw: Sequence[bytes]) -> None:
            async with room:
                code = await _send(channel, path, kind, raw)
            assert code not in NEVER, (code, path, [part.hex() for part in raw], f"seed {seed}")
            codes[code] += 1

        async with asyncio.TaskGroup() as group:
            for number in range(ROUNDS):
                path, kind, message = seeds[number % len(seeds)]
                parts = chance.randint(1, 3) if kind == "bidi" else 1
                group.create_task(one(path, kind, [_mutated(message, chance) for _ in range(parts)]))
                if number % IN_FLIGHT == 0:
                    await asyncio.sleep(0)
        assert codes.total() == ROUNDS
        await _answers(server)


async def _send(channel: aio.Channel, path: str, kind: str, raw: Sequence[bytes]) -> grpc.StatusCode:
    metadata = (("comby-wait-timeout", "200ms"),) if kind == "command" else ()
    if kind in ("command", "unary"):
        timeout = 0.5 if path.endswith("WaitForCommand") else 20
        return await channel.unary_unary(path)(raw[0], timeout=timeout, metadata=metadata).code()
    if kind == "stream":
        return await _read(channel.unary_stream(path)(raw[0], timeout=20), 1)
    return await _read(channel.stream_stream(path)(iter(raw), timeout=20), 3)


async def _read(
    call: aio.UnaryStreamCall[bytes, bytes] | aio.StreamStreamCall[bytes, bytes], answers: int
) -> grpc.StatusCode:
    """Read some answers, and tell how the stream ended; that it did not is good too."""
    try:
        for _ in range(answers):
            if await call.read() is aio.EOF:
                return await call.code()
    except aio.AioRpcError as error:
        return grpc.StatusCode.OK if error.details() == MADE_BY_THE_CLIENT else error.code()
    call.cancel()
    return grpc.StatusCode.OK


def _mutated(message: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        return chance.randbytes(chance.randint(0, 200))
    raw = bytearray(message)
    for _ in range(chance.randint(0, 4)):
        place = chance.randint(0, len(raw))
        match chance.randint(0, 3):
            case 0 if raw:
                raw[min(place, len(raw) - 1)] ^= 1 << chance.randint(0, 7)
            case 1:
                raw[place:place] = chance.randbytes(chance.randint(1, 8))
            case 2:
                del raw[place : place + chance.randint(1, 8)]
            case _:
                raw[place:place] = raw[chance.randint(0, len(raw)) :][:32]
    return bytes(raw)


def _seeds() -> list[tuple[str, str, bytes]]:
    """Return every method that is served, with messages that are good or at an edge."""
    command = command_pb2.DispatchCommandRequest(
        options=command_pb2.CommandOptions(request_id=ID, expected_version=2**64 - 1)
    )
    command.command.Pack(place())
    command.options.not_before.seconds = 2**62
    query = query_pb2.DispatchQueryRequest(consistency_token="token")
    query.query.Pack(order_pb2.GetOrder(order_id=ID))
    filter = event_pb2.EventFilter(domains=["Order"], types=["Order.OrderPlaced"], aggregate_id=ID)
    messages: dict[str, Message] = {
        "DispatchCommand": command,
        "DispatchCommands": command_pb2.DispatchCommandsRequest(commands=[command, command]),
        "WaitForCommand": command_pb2.WaitForCommandRequest(request_id=ID),
        "GetCommand": command_pb2.GetCommandRequest(request_id=ID),
        "ListCommands": command_pb2.ListCommandsRequest(
            stages=[command_pb2.COMMAND_STAGE_ACCEPTED, command_pb2.COMMAND_STAGE_PARKED],
            type="Order.PlaceOrder",
            page_size=1,
            page_token="t",
        ),
        "RetryCommand": command_pb2.RetryCommandRequest(request_id=ID),
        "CancelCommand": command_pb2.CancelCommandRequest(request_id=ID),
        "DispatchQuery": query,
        "GetAggregate": query_pb2.GetAggregateRequest(aggregate="Order.Order", aggregate_id=ID, version=2**64 - 1),
        "ListAggregates": query_pb2.ListAggregatesRequest(
            aggregate="Order.Order", filter={"status": "x"}, order_by="status"
        ),
        "ReadEvents": event_pb2.ReadEventsRequest(after=2**64 - 1, filter=filter, backwards=True, limit=3),
        "SubscribeEvents": event_pb2.SubscribeEventsRequest(after=2**63, filter=filter),
        "ListConsumers": projection_pb2.ListConsumersRequest(kind=projection_pb2.CONSUMER_KIND_REACTOR),
        "RebuildProjection": projection_pb2.RebuildProjectionRequest(name="order_board"),
        "ListParkedKeys": projection_pb2.ListParkedKeysRequest(reactor="reservation", page_size=1, page_token="t"),
        "ResolveParkedKey": projection_pb2.ResolveParkedKeyRequest(
            reactor="r", domain="Order", aggregate_id=ID, action=1
        ),
        "DescribeModel": model_pb2.DescribeModelRequest(),
        "PlaceOrder": place(),
        "AddLine": order_pb2.AddLine(order_id=ID, line=place().lines[0]),
        "PayOrder": order_pb2.PayOrder(order_id=ID, amount_cents=2**62),
        "ListOrders": order_pb2.ListOrders(page_size=1, page_token="t", status=order_pb2.ORDER_STATUS_PAID),
        "Check": health_pb2.HealthCheckRequest(service="a"),
        "Watch": health_pb2.HealthCheckRequest(service="a"),
        "ServerReflectionInfo": reflection_pb2.ServerReflectionRequest(
            file_containing_extension=reflection_pb2.ExtensionRequest(
                containing_type="google.protobuf.MessageOptions", extension_number=-1
            )
        ),
    }
    files = (facade_service_pb2, order_pb2, stock_pb2, health_pb2, reflection_pb2)
    found = []
    for service in (one for file in files for one in file.DESCRIPTOR.services_by_name.values()):
        for method in service.methods:
            kind = "bidi" if method.client_streaming else "stream" if method.server_streaming else "unary"
            if method.output_type.full_name == "comby.facade.v1.CommandReceipt" and service.full_name.startswith(
                "shop."
            ):
                kind = "command"
            good = messages.get(method.name, order_pb2.GetOrder(order_id=ID))
            found.append((f"/{service.full_name}/{method.name}", kind, good.SerializeToString()))
    return found


async def _answers(server: Served) -> None:
    """Prove that the server serves a new connection."""
    async with aio.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        assert await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString(), timeout=10)
    assert server.process.returncode is None


def _frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """Return an HTTP/2 frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(body))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + body


def _literal(name: bytes, value: bytes) -> bytes:
    """Return a header as a literal without indexing (RFC 7541, 6.2.2); both parts are shorter than 127 bytes."""
    return bytes((0, len(name))) + name + bytes((len(value),)) + value
