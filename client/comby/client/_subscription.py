"""A stream of events that goes on by itself: it resumes after the last event that was handled.

An event counts as handled when the consumer asks for the next one. So an event comes again only when its consumer
failed or was cancelled while handling it and starts anew from a stored position; and none is left out.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

import grpc
from google.protobuf.message import Message

from comby.client import _retry, _status, _wire
from comby.client._connection import FACADE, Connection
from comby.client._outcome import CombyError
from comby.client._records import Recorded, recorded
from comby.client._subscription_status import (
    CaughtUp,
    Checkpoint,
    Connected,
    Disconnected,
    Log,
    OnStatus,
    Status,
)
from comby.facade.v1 import event_pb2

E_co = TypeVar("E_co", bound=Message, covariant=True)

SILENT_HEARTBEATS = 3  # a stream without a message for so many heartbeats is dead

_Response: TypeAlias = event_pb2.SubscribeEventsResponse
_Stream: TypeAlias = "grpc.aio.UnaryStreamCall[Message, _Response]"


class Subscription(AsyncIterator[Recorded[E_co]], Generic[E_co]):
    """An endless async iterator of events, for one task; made by `Comby.subscribe`.

    It ends only by `aclose`, or by an error that opening anew does not mend, such as `LogReplaced`.
    """

    def __init__(
        self,
        connection: Connection,
        request: event_pb2.SubscribeEventsRequest,
        *,
        types: dict[str, type[E_co]],
        heartbeat: float,
        on_status: OnStatus | None,
        tenant_id: str | None,
    ) -> None:
        self._connection = connection
        self._request = request
        self._types: dict[str, type[Message]] = dict(types)
        self._heartbeat = heartbeat
        self._on_status = on_status
        self._tenant_id = tenant_id
        self._caught_up = asyncio.Event()
        self._position = request.after if request.WhichOneof("start") in (None, "after") else None
        self._log = Log.from_wire(request.log) if request.HasField("log") else None
        self._given: int | None = None  # the position of the event that the consumer handles now
        self._waiting: deque[event_pb2.Event] = deque()
        self._call: _Stream | None = None
        self._reading: asyncio.Task[_Response | None] | None = None
        self._failures = 0
        self._closed = asyncio.Event()

    @property
    def position(self) -> int | None:
        """The last handled position: store it, and give it as `after=`. None until a start by time or head is known."""
        return self._position

    @property
    def log(self) -> Log | None:
        """The log of `position`: store it too, and give it as `log=`. None until the server confirmed."""
        return self._log

    @property
    def caught_up(self) -> asyncio.Event:
        """Set while history is handled; cleared when the stream breaks."""
        return self._caught_up

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Recorded[E_co]:
        if self._given is not None:
            self._position, self._given = self._given, None
        while not self._closed.is_set():
            while self._waiting:
                event = self._waiting[0]
                given = recorded(
                    event, self._types
                )  # before it is taken: one that can not be read is never passed over
                self._waiting.popleft()
                if self._position is None or event.position > self._position:
                    self._given = event.position
                    return given  # type: ignore[return-value]  # the filter is by these types
            try:
                await self._advance()
            except CombyError as error:
                await self._recover(error)
        raise StopAsyncIteration

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the subscription; a waiting consumer's iteration ends."""
        self._closed.set()
        await self._drop()

    async def _advance(self) -> None:
        """Take one message from the stream, and open the stream first where there is none."""
        if self._call is None:
            self._call = self._open()
        response = await self._read(self._call)
        if response is None:
            if not self._closed.is_set():
                raise _status.local(grpc.StatusCode.UNAVAILABLE, "the server ended the subscription")
            return
        if response.WhichOneof("message") != "confirmed":
            self._failures = 0  # a stream that breaks right after its confirmation has not recovered
        self._take(response)

    def _open(self) -> _Stream:
        request = event_pb2.SubscribeEventsRequest()
        request.CopyFrom(self._request)
        request.heartbeat.CopyFrom(_wire.duration(self._heartbeat))
        if self._position is not None:
            request.after = self._position
        if self._log is not None:
            request.log.CopyFrom(self._log.to_wire())
        return self._connection.open_server_stream(
            f"{FACADE}SubscribeEvents", request, _Response, tenant_id=self._tenant_id
        )

    async def _read(self, call: _Stream) -> _Response | None:
        """Return the next message; None at the end.

        The read is a task of its own, so that a consumer may stop waiting and ask again: cancelling a read of gRPC
        ends its stream.
        """
        if self._reading is None:
            self._reading = asyncio.ensure_future(_read(call))
        reading = self._reading
        done, _ = await asyncio.wait({reading}, timeout=SILENT_HEARTBEATS * self._heartbeat)
        if not done:
            silence = SILENT_HEARTBEATS * self._heartbeat
            raise _status.local(grpc.StatusCode.UNAVAILABLE, f"the server was silent for {silence:g} s")
        if self._reading is reading:
            self._reading = None
        if reading.cancelled():
            return None
        return reading.result()

    def _take(self, response: _Response) -> None:
        match response.WhichOneof("message"):
            case "confirmed":
                confirmed = response.confirmed
                self._log = Log.from_wire(confirmed.log)
                if self._position is None:
                    self._position = confirmed.after
                self._tell(
                    Connected(
                        subscription_id=confirmed.subscription_id,
                        log=self._log,
                        head=confirmed.head,
                        after=confirmed.after,
                    )
                )
            case "events":
                self._waiting.extend(response.events.events)
            case "caught_up":
                self._move(response.caught_up.position)
                self._caught_up.set()
                self._tell(CaughtUp(position=response.caught_up.position))
            case "checkpoint":
                self._move(response.checkpoint.position)
                self._tell(Checkpoint(position=response.checkpoint.position))
            case "goodbye":
                self._move(response.goodbye.resume_after)
                reason = f"the server said goodbye: {response.goodbye.reason}"
                raise _status.local(grpc.StatusCode.UNAVAILABLE, reason)
            case None:
                pass  # a message of a newer server

    def _move(self, position: int) -> None:
        """Move over what was filtered out; every event before it is handled, for the stream is read in order."""
        if self._position is None or position > self._position:
            self._position = position

    async def _recover(self, error: CombyError) -> None:
        """Drop the stream and pause before the next; raises the error when opening anew does not mend it."""
        self._caught_up.clear()
        await self._drop()
        if not _retry.stream_may_heal(error):
            self._closed.set()
            raise error
        self._failures += 1
        pause = self._connection.retry.delay(self._failures, error.retry_delay)
        self._tell(Disconnected(error=error, retry_in=pause))
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closed.wait(), pause)

    async def _drop(self) -> None:
        call, reading = self._call, self._reading
        self._call = self._reading = None
        if call is not None:
            call.cancel()
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})

    def _tell(self, status: Status) -> None:
        if self._on_status is not None:
            self._on_status(status)


async def _read(call: _Stream) -> _Response | None:
    try:
        response = await call.read()
    except grpc.aio.AioRpcError as error:
        raise _status.from_call(error) from None
    return response if isinstance(response, _Response) else None  # grpc.aio.EOF
