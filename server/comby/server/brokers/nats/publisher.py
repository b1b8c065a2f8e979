"""The stream of events in JetStream, written by one at a time.

Every message names the event that it follows, and the server stores it only behind that one: so a publisher that was frozen, a message that
comes late and one that comes twice find another end, and are refused.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import nats.errors
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError

from comby.server.brokers.nats import subjects as names
from comby.server.brokers.nats.acks import NO_STREAM, Acks, Answer, NotStored, Stored
from comby.server.brokers.nats.client import NotPermitted, SingleClient
from comby.server.brokers.nats.connection import Connection
from comby.server.brokers.nats.options import NatsOptions
from comby.server.brokers.nats.stream import StreamState, prepared
from comby.server.brokers.nats.subjects import Subjects
from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.errors import BrokerUnavailable, StreamOvertaken, StreamRefused
from comby.server.ports.event_publisher import (
    EventPublisher,
    OutgoingEvent,
    StreamEnd,
    StreamMessage,
    StreamPlace,
)

IN_FLIGHT = 512
"""Messages that are sent and not acknowledged. As many as a relay publishes at once: twice as fast as 256, since they leave in fewer pieces."""
CONNECTED_SECONDS = 1.0
"""How long to wait for a connection that is being made."""
REQUEST_SECONDS = 2.0
"""How long the server may take for an answer."""
ANSWER_SECONDS = 4.0
"""How long it may take for the next acknowledgement: it may have to wait for its disk, or for other servers."""
READ_AT_ONCE = 8
"""Messages that are read together: each may be as large as an event."""
WRONG_END = frozenset({10070, 10071})
"""JetStream's errors for a message that names another end of the stream than there is, by id or by sequence."""
HEADER_BYTES = 1024
"""Room for the headers, below the largest payload of a broker."""


class NatsEventPublisher(EventPublisher):
    """Publishes while its `connection` runs."""

    def __init__(self, options: NatsOptions, subjects: Subjects, log: LogIdentity) -> None:
        self._options = options
        self._subjects = subjects
        self._log = log
        self._acks: Acks | None = None
        self.connection = Connection(options, name="events", inbox=subjects.inbox, ready=self._listen)

    async def end(self, *, limit: int) -> StreamEnd:
        """See that the stream is there, and return how it ends."""
        client = await self.connection.connected(CONNECTED_SECONDS)
        jetstream = client.jetstream(timeout=REQUEST_SECONDS)
        with _told(client):
            return await client.unless_lost(self._look(jetstream, limit))

    async def publish(self, events: Sequence[OutgoingEvent], *, after: StreamPlace) -> StreamPlace:
        """Send the events one behind the other, and collect the acknowledgements."""
        client = await self.connection.connected(CONNECTED_SECONDS)
        acks = self._acks
        if acks is None or acks.client is not client:
            raise BrokerUnavailable("the connection is new")
        sent: list[asyncio.Future[Answer]] = []
        place = after
        try:
            with _told(client):
                for event in events:
                    if len(sent) - IN_FLIGHT >= 0:
                        await _answer(sent[len(sent) - IN_FLIGHT])
                    sent.append(await self._send(acks, event, place, first=not sent))
                    place = StreamPlace(sequence=0, event_id=event.event_id)
                for number, future in enumerate(sent):
                    stored = _stored(await _answer(future))
                    place = StreamPlace(sequence=stored.sequence, event_id=events[number].event_id)
        finally:
            for future in sent:
                future.cancel()
        return place

    async def _listen(self, client: SingleClient) -> None:
        acks = Acks(client)
        await acks.listen()
        self._acks = acks

    async def _send(
        self, acks: Acks, event: OutgoingEvent, after: StreamPlace, *, first: bool
    ) -> asyncio.Future[Answer]:
        if len(event.message) + HEADER_BYTES > acks.client.max_payload:
            acks.client.lose()  # a new connection tells whether the limit was raised meanwhile
            raise StreamRefused(f"an event of {len(event.message)} bytes is above the broker's max_payload")
        headers = {
            names.MESSAGE_ID: event.event_id,
            names.EXPECTED_STREAM: self._subjects.stream,
            names.POSITION: str(event.position),
            names.VERSION: str(event.version),
            names.INCARNATION: self._log.incarnation,
        }
        if first:
            headers[names.EXPECTED_SEQUENCE] = str(after.sequence)
        if after.event_id:
            headers[names.EXPECTED_ID] = after.event_id
        if event.correlation_id:
            headers[names.CORRELATION] = event.correlation_id
        if event.traceparent:
            headers[names.TRACEPARENT] = event.traceparent
        reply, answer = acks.expect()
        subject = self._subjects.event(event.tenant_id, event.type)
        await acks.client.publish(subject, event.message, reply, headers)
        return answer

    async def _look(self, jetstream: JetStreamContext, limit: int) -> StreamEnd:
        state = await prepared(jetstream, self._subjects, self._options.stream, self._log)
        return StreamEnd(sequence=state.last, newest=await self._newest(jetstream, state, limit))

    async def _newest(self, jetstream: JetStreamContext, state: StreamState, limit: int) -> list[StreamMessage]:
        found: list[StreamMessage] = []
        oldest = max(state.first, state.last - limit + 1, 1)
        for top in range(state.last, oldest - 1, -READ_AT_ONCE):
            wanted = range(top, max(top - READ_AT_ONCE, oldest - 1), -1)
            read = await asyncio.gather(*(self._message(jetstream, sequence) for sequence in wanted))
            found += [message for message in read if message is not None]
        return found

    async def _message(self, jetstream: JetStreamContext, sequence: int) -> StreamMessage | None:
        try:
            raw = await jetstream.get_msg(self._subjects.stream, seq=sequence)
        except NotFoundError:
            return None
        return _message(raw, sequence)


def _message(raw: RawStreamMsg, sequence: int) -> StreamMessage:
    headers = raw.headers or {}
    position = str(headers.get(names.POSITION, ""))  # a header that is no text is an object of the parser
    return StreamMessage(
        sequence=sequence,
        position=Position(int(position) if position.isascii() and position.isdigit() and len(position) < 19 else 0),
        event_id=str(headers.get(names.MESSAGE_ID, "")),
    )


async def _answer(future: asyncio.Future[Answer]) -> Answer:
    """Wait for an acknowledgement: they come in the order in which messages were sent."""
    if not future.done():
        await asyncio.wait((future,), timeout=ANSWER_SECONDS)
        if not future.done():
            raise nats.errors.TimeoutError
    return future.result()


def _stored(answer: Answer) -> Stored:
    if isinstance(answer, Stored):
        return answer
    if not isinstance(answer, NotStored):
        raise nats.errors.ConnectionClosedError
    if answer.code in WRONG_END:
        raise StreamOvertaken("the stream ends elsewhere")
    if answer.code == NO_STREAM:
        raise BrokerUnavailable("no stream takes events")
    raise StreamRefused(f"the stream takes no events (JetStream error {answer.code})")


@contextmanager
def _told(client: SingleClient) -> Iterator[None]:
    """Turn the errors of the library into those of the port."""
    try:
        yield
    except nats.errors.TimeoutError:
        raise BrokerUnavailable("the broker does not answer") from None
    except ServiceUnavailableError:
        raise BrokerUnavailable("JetStream is not there, or has no leader") from None
    except APIError as error:
        if error.code is not None and error.code >= 500:
            raise BrokerUnavailable(f"JetStream is not able to (error {error.err_code})") from None
        raise StreamRefused(f"JetStream refuses (error {error.err_code}: {error.description})") from None
    except (nats.errors.Error, OSError):
        if isinstance(client.trouble, NotPermitted):
            raise StreamRefused("what comby needs is not permitted to its user") from None
        raise BrokerUnavailable("the connection was lost") from None
