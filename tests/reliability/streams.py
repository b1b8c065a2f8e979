"""Subscriptions as they are on the wire, message by message."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import grpc

from comby.facade.v1 import event_pb2

Message: TypeAlias = event_pb2.SubscribeEventsResponse
Stream: TypeAlias = "grpc.aio.UnaryStreamCall[event_pb2.SubscribeEventsRequest, Message]"
PATH = "/comby.facade.v1.FacadeService/SubscribeEvents"


@asynccontextmanager
async def channel(target: str) -> AsyncIterator[grpc.aio.Channel]:
    """Open a connection that is nobody else's."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 8 * 1024 * 1024)]
    async with grpc.aio.insecure_channel(target, options=options) as opened:
        yield opened


def subscribe(opened: grpc.aio.Channel, request: event_pb2.SubscribeEventsRequest) -> Stream:
    """Open a subscription."""
    open_stream = opened.unary_stream(PATH, _serialize, event_pb2.SubscribeEventsResponse.FromString)
    return open_stream(request)


async def read(stream: Stream) -> Message:
    """Return the next message. The stream must not end."""
    message = await stream.read()
    assert isinstance(message, event_pb2.SubscribeEventsResponse), "the stream has ended"
    assert "goodbye" != message.WhichOneof("message"), message
    return message


def _serialize(request: event_pb2.SubscribeEventsRequest) -> bytes:
    return request.SerializeToString()
