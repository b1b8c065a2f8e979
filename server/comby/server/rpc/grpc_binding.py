"""grpc.aio under the table: each call's bytes, metadata, deadline and peer go up; answers, trailing metadata and statuses come down.

A handler object is made for each call, because there the metadata are at hand: asking grpc for them again costs 3 µs.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Any, cast

import grpc
import structlog
from grpc import aio

from comby.server.rpc.call import Call
from comby.server.rpc.errors import CallFailed
from comby.server.rpc.table import Bidirectional, Streaming, Table, Unary

CODES: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
Context = aio.ServicerContext[bytes, bytes]
Identify = Callable[[Context], str]
LINGER_SECONDS = 0.1
LINGER_MESSAGES = 100
_log = structlog.get_logger("comby.grpc")


class GrpcBinding(grpc.GenericRpcHandler):
    """Serves every path: those of the table by their methods, all others by a typed error. `identify` tells who calls."""

    def __init__(self, table: Table, identify: Identify | None) -> None:
        self._table = table
        self._identify = identify

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any]":
        """Return the handler of one call."""
        path = handler_call_details.method
        handler = _HANDLERS[type(self._table.methods.get(path))]
        one = handler(self._table, self._identify, path, handler_call_details.invocation_metadata)
        return cast("grpc.RpcMethodHandler[Any, Any]", one)


class _Handler:
    """What grpc.aio wants to know of a handler; bytes are neither parsed nor made by it."""

    __slots__ = ("_identify", "_pairs", "_path", "_table")
    request_streaming = False
    response_streaming = False
    request_deserializer = None
    response_serializer = None

    def __init__(self, table: Table, identify: Identify | None, path: str, pairs: Any) -> None:
        self._table = table
        self._identify = identify
        self._path = path
        self._pairs = pairs

    def _call(self, context: Context) -> Call:
        actor = "" if self._identify is None else self._identify(context)
        return Call(self._path, self._pairs or (), context.time_remaining(), actor)


class _UnaryHandler(_Handler):
    __slots__ = ()

    async def unary_unary(self, raw: bytes, context: Context) -> bytes:
        call = self._call(context)
        method = cast(Unary, self._table.methods[self._path])
        try:
            answer = await self._table.answer(method, raw, call)
        except CallFailed as failed:
            await _abort(context, call, failed)
        context.set_trailing_metadata(call.trailing())
        return answer


class _StreamingHandler(_Handler):
    __slots__ = ()
    response_streaming = True

    async def unary_stream(self, raw: bytes, context: Context) -> None:
        call = self._call(context)
        call.connection = context.peer()
        method = cast(Streaming, self._table.methods[self._path])
        await _write_all(self._table.stream(method, raw, call), call, context)


class _BidirectionalHandler(_Handler):
    __slots__ = ()
    request_streaming = True
    response_streaming = True

    async def stream_stream(self, messages: AsyncIterator[bytes], context: Context) -> None:
        call = self._call(context)
        call.connection = context.peer()
        method = cast(Bidirectional, self._table.methods[self._path])
        await _write_all(self._table.converse(method, messages, call), call, context, messages)


class _UnknownHandler(_Handler):
    """Fits every kind of call: it ends it before the first message."""

    __slots__ = ()
    request_streaming = True
    response_streaming = True

    async def stream_stream(self, messages: AsyncIterator[bytes], context: Context) -> None:
        call = Call(self._path, ())
        failed = self._table.unknown(call)
        await _linger(messages)
        await _abort(context, call, failed)


_HANDLERS: dict[type, type[_Handler]] = {
    Unary: _UnaryHandler,
    Streaming: _StreamingHandler,
    Bidirectional: _BidirectionalHandler,
    type(None): _UnknownHandler,
}


async def _write_all(
    answers: AsyncGenerator[bytes, None], call: Call, context: Context, messages: AsyncIterator[bytes] | None = None
) -> None:
    try:
        async with aclosing(answers):
            async for answer in answers:
                await context.write(answer)
    except CallFailed as failed:
        if messages is not None:
            await _linger(messages)
        await _abort(context, call, failed)
    context.set_trailing_metadata(call.trailing())


async def _linger(messages: AsyncIterator[bytes]) -> None:
    """Read on for a moment before a stream is refused: a grpc.aio client whose write fails tells INTERNAL in place of the status."""
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            left = LINGER_MESSAGES
            async for _ in messages:
                left -= 1
                if not left:
                    return
    except Exception as error:
        _log.debug("lingering ended", error=type(error).__name__)


async def _abort(context: Context, call: Call, failed: CallFailed) -> None:
    trailing = (*call.trailing(), ("grpc-status-details-bin", failed.status.SerializeToString()))
    await context.abort(CODES[failed.status.code], failed.status.message, trailing)
