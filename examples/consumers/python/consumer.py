"""Handles the shop's events from NATS, each once, however often it is ended: `python consumer.py --durable invoices --journal FILE`.

It knows comby's messages and the shop's, and nothing else of comby. It prints one JSON object a line.
"""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path

import nats
from google.protobuf import json_format, symbol_database
from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, TimeoutError
from nats.js.api import AckPolicy, ConsumerConfig

import shop.order.v1.order_pb2  # the domains whose events are decoded
import shop.stock.v1.stock_pb2
from comby.facade.v1.event_pb2 import Event

DECODED = (shop.order.v1.order_pb2, shop.stock.v1.stock_pb2)
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 2.0


class Foreign(Exception):
    """A message that does not fit together: it is none of comby's."""


class Journal:
    """A file of what was handled, a JSON object a line.

    A line is the effect and the position in one write, so an event is handled once, whenever the process is killed. In a database it would be a
    row beside those of the effect, in one transaction.
    """

    def __init__(self, path: Path) -> None:
        whole, _, _ = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
        self.incarnation, self.position = "", 0
        self.ids = set[str]()
        for line in whole.splitlines():
            self._note(json.loads(line))
        self._file = os.open(path, os.O_CREAT | os.O_RDWR)
        os.ftruncate(self._file, len(whole) + bool(whole))  # without a last line that was not written to its end
        os.lseek(self._file, 0, os.SEEK_END)

    def has(self, event: Event, incarnation: str) -> bool:
        """Tell whether an event was handled. Positions only count within one life of the log: a restored one gives them again."""
        if incarnation == self.incarnation:
            return event.position <= self.position
        return event.event_id in self.ids

    def handle(self, event: Event, incarnation: str) -> None:
        """Have the effect, and note it."""
        line = {
            "incarnation": incarnation,
            "position": event.position,
            "event_id": event.event_id,
            "type": event.type,
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")
        self._note(line)

    def _note(self, line: dict[str, object]) -> None:
        self.incarnation, self.position = str(line["incarnation"]), int(str(line["position"]))
        self.ids.add(str(line["event_id"]))


async def main(arguments: argparse.Namespace) -> None:
    """Handle events until ended. Whatever breaks is made again: the journal knows what was handled."""
    journal = Journal(Path(arguments.journal))
    backoff = FIRST_BACKOFF
    while True:
        before = len(journal.ids)
        try:
            async with await _connect(arguments) as client:
                await _follow(client, arguments, journal)
        except (Error, OSError) as error:
            _print(did="lose_stream", position=journal.position, error=type(error).__name__)
        backoff = FIRST_BACKOFF if len(journal.ids) > before else min(2 * backoff, LONGEST_BACKOFF)
        await asyncio.sleep(backoff)


async def _connect(arguments: argparse.Namespace) -> Client:
    async def silent(error: Exception) -> None:
        """What happens to the connection is told where it is used."""

    return await nats.connect(
        arguments.broker.split(","),
        name=arguments.durable,
        error_cb=silent,
        allow_reconnect=False,
        max_reconnect_attempts=1,
        connect_timeout=2,
        ping_interval=2,
    )


async def _follow(client: Client, arguments: argparse.Namespace, journal: Journal) -> None:
    """Make the consumer where there is none, and handle what it delivers, until something breaks."""
    jetstream = client.jetstream()
    stream = f"{arguments.app}-events"
    config = ConsumerConfig(
        durable_name=arguments.durable,
        filter_subject=arguments.subject or None,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=arguments.ack_wait,
        max_ack_pending=1,  # the next event comes once this one is done: that is what keeps the order
    )
    await jetstream.add_consumer(stream, config)
    pulled = await jetstream.pull_subscribe_bind(arguments.durable, stream)
    _print(did="follow", after=journal.position)
    while True:
        try:
            (message,) = await pulled.fetch(1, timeout=2)
        except TimeoutError:
            await jetstream.consumer_info(stream, arguments.durable)  # nothing to do, or nobody there
            continue
        await _take(message, arguments.app, journal)


async def _take(message: Msg, app: str, journal: Journal) -> None:
    """Handle a message unless it was handled before, and acknowledge it only then."""
    try:
        event, incarnation = read(message, app)
    except Foreign as error:
        _print(did="ignore", sequence=message.metadata.sequence.stream, subject=message.subject, why=str(error))
        await message.term()  # it will not become better
        return
    if journal.has(event, incarnation):
        _print(did="skip", position=event.position, event_id=event.event_id)
    else:
        journal.handle(event, incarnation)
        _print(
            did="handle",
            position=event.position,
            event_id=event.event_id,
            type=event.type,
            tenant_id=event.context.tenant_id,
            aggregate_id=event.aggregate_id,
            version=event.version,
            event=_decoded(event),
        )
    await message.ack()


def read(message: Msg, app: str) -> tuple[Event, str]:
    """Return the event of a message, and which life of the log its position belongs to. Raises Foreign."""
    headers = message.headers or {}
    try:
        event = Event.FromString(message.data)
    except DecodeError:
        raise Foreign("the payload is no event") from None
    incarnation = headers.get("Comby-Incarnation", "")
    if not incarnation or not event.position:
        raise Foreign("it does not tell its place in the log")
    if headers.get("Comby-Position") != str(event.position):
        raise Foreign("the position is another one")
    if headers.get("Nats-Msg-Id") != event.event_id:
        raise Foreign("the id is another one")
    if message.subject != f"{app}.events.{event.context.tenant_id}.{event.type}":
        raise Foreign("the subject is of another event")
    return event, incarnation


def _decoded(event: Event) -> object:
    """Return the event's message; None for one of a contract that this program does not know: its envelope is readable all the same."""
    try:
        kind = symbol_database.Default().GetSymbol(event.plain.TypeName())
    except KeyError:
        return None
    return json_format.MessageToDict(kind.FromString(event.plain.value))


def _print(**line: object) -> None:
    sys.stdout.write(f"{json.dumps(line)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", default="nats://127.0.0.1:4222", help="URLs of NATS, with commas")
    parser.add_argument("--app", default="shop", help="the app, as it is in the subjects")
    parser.add_argument("--durable", default="shop-consumer", help="the consumer's name")
    parser.add_argument("--journal", default="journal", help="the file of what was handled")
    parser.add_argument("--subject", default="", help="which events, such as shop.events.*.Order.>; all when empty")
    parser.add_argument("--ack-wait", type=float, default=5.0, help="seconds until an event is delivered again")
    asyncio.run(main(parser.parse_args()))
