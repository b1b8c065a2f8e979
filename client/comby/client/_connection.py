"""One connection: the channel, what every call carries, retries, and errors made typed.

Every call of the SDK goes through here.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from comby.client import _retry, _status
from comby.client._metadata import RETRY, Ambient, Metadata
from comby.client._retry import RetryPolicy

M = TypeVar("M", bound=Message)
FACADE = "/comby.facade.v1.FacadeService/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A channel and how to use it."""

    channel: grpc.aio.Channel
    ambient: Ambient
    retry: RetryPolicy
    timeout: float
    """Seconds after which a unary call ends, unless it says otherwise."""

    def within(self, ambient: Ambient) -> "Connection":
        return replace(self, ambient=ambient)

    async def unary(
        self,
        path: str,
        message: Message,
        answer: type[M],
        *,
        metadata: Metadata = (),
        tenant_id: str | None = None,
        timeout: float | None = None,
        command: bool = False,
        retry: bool = True,
    ) -> M:
        """Call, and call again where that is safe and the time-out allows it.

        `retry` says that the call may be sent twice: a query, or a command with a request id.
        """
        call = self.channel.unary_unary(path, _serialize, answer.FromString)
        carried = (*self.ambient.metadata(tenant_id), *metadata)
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        failures = 0
        while True:
            try:
                again = (RETRY,) if failures and command else ()
                return await call(message, metadata=(*carried, *again), timeout=max(0.0, end - time.monotonic()))
            except grpc.aio.AioRpcError as failed:
                error = _status.from_call(failed)
            failures += 1
            pause = self.retry.delay(failures, error.retry_delay)
            late = time.monotonic() + pause >= end
            if not retry or late or failures >= self.retry.attempts or not _retry.may_retry(error):
                raise error
            await asyncio.sleep(pause)

    async def server_stream(
        self,
        path: str,
        message: Message,
        answer: type[M],
        *,
        metadata: Metadata = (),
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[M]:
        """Yield the answers; there is no time-out unless one is given, and no retry."""
        call = self.open_server_stream(path, message, answer, metadata=metadata, tenant_id=tenant_id, timeout=timeout)
        try:
            async for item in call:
                yield item
        except grpc.aio.AioRpcError as error:
            raise _status.from_call(error) from None
        finally:
            call.cancel()

    def open_server_stream(
        self,
        path: str,
        message: Message,
        answer: type[M],
        *,
        metadata: Metadata = (),
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> "grpc.aio.UnaryStreamCall[Message, M]":
        stream = self.channel.unary_stream(path, _serialize, answer.FromString)
        return stream(message, metadata=(*self.ambient.metadata(tenant_id), *metadata), timeout=timeout)

    def open_bidi_stream(
        self, path: str, answer: type[M], *, metadata: Metadata = (), tenant_id: str | None = None
    ) -> "grpc.aio.StreamStreamCall[Message, M]":
        stream = self.channel.stream_stream(path, _serialize, answer.FromString)
        return stream(metadata=(*self.ambient.metadata(tenant_id), *metadata))


async def until_ready(channel: grpc.aio.Channel, target: str, seconds: float) -> None:
    """Wait until the channel is connected; raises `Unavailable` after so many seconds."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await channel.channel_ready()
            return
    raise _status.local(grpc.StatusCode.UNAVAILABLE, f"no server answers at {target} within {seconds:g} s")


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()
