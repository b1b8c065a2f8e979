"""Acknowledgements of JetStream: one inbox for all that is published, and a future for each message."""

import asyncio
from dataclasses import dataclass
from typing import TypeAlias

import orjson
from nats.aio.msg import Msg

from comby.server.brokers.nats.client import SingleClient

NO_STREAM = 503
"""What a server answers when nobody takes the message: no stream has its subject, or none has a leader."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The message is in the stream, at a sequence: now, or since it was sent before."""

    sequence: int


@dataclass(frozen=True, slots=True)
class NotStored:
    """The server refused it: `code` is JetStream's number of the error."""

    code: int


@dataclass(frozen=True, slots=True)
class NotAnswered:
    """The connection was lost before an answer came: it may be stored or not."""


Answer: TypeAlias = Stored | NotStored | NotAnswered


class Acks:
    """The inbox of one connection."""

    def __init__(self, client: SingleClient) -> None:
        self.client = client
        self._prefix = client.new_inbox()
        self._waiting: dict[str, asyncio.Future[Answer]] = {}
        self._count = 0

    async def listen(self) -> None:
        """Subscribe to the inbox."""
        await self.client.subscribe(f"{self._prefix}.*", cb=self._take)
        self.client.lost.add_done_callback(self._give_up)

    def expect(self) -> tuple[str, asyncio.Future[Answer]]:
        """Return a subject to be answered at, and what will get the answer."""
        self._count += 1
        reply = f"{self._prefix}.{self._count}"
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        if self.client.lost.done():
            future.set_result(NotAnswered())
            return reply, future
        self._waiting[reply] = future
        future.add_done_callback(lambda _: self._waiting.pop(reply, None))
        return reply, future

    def _give_up(self, lost: asyncio.Future[None]) -> None:
        for future in list(self._waiting.values()):
            if not future.done():
                future.set_result(NotAnswered())

    async def _take(self, message: Msg) -> None:
        future = self._waiting.get(message.subject)
        answer = read_ack(message.data, message.headers)
        if future is not None and not future.done() and answer is not None:
            future.set_result(answer)


def read_ack(data: bytes, headers: dict[str, str] | None) -> Stored | NotStored | None:
    """Read an answer; None for what is none: the message then counts as not answered."""
    if not data and headers is not None and headers.get("Status") == str(NO_STREAM):
        return NotStored(NO_STREAM)
    try:
        answer = orjson.loads(data)
        if "error" in answer:
            return NotStored(int(answer["error"].get("err_code", 0)))
        return Stored(int(answer["seq"]))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError, AttributeError):
        return None
