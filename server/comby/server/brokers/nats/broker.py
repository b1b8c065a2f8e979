"""Wake-ups between instances over a subject of core NATS."""

from collections.abc import AsyncIterator
from contextlib import suppress

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from comby.server.brokers.nats.client import SingleClient
from comby.server.brokers.nats.connection import CONNECT_SECONDS, Connection
from comby.server.brokers.nats.options import NatsOptions
from comby.server.brokers.nats.subjects import Subjects
from comby.server.brokers.nats.wakeups import Listener, decode, encode
from comby.server.ports.broker import EVERYTHING, Announcement, Broker

MOST_PENDING = 64 * 1024
"""Bytes that may wait to be written; with a broker that does not read, further wake-ups are lost instead of waiting."""

_log = structlog.get_logger("comby.broker")


class NatsBroker(Broker):
    """Announces and hears while its `connection` runs. `ignored` counts what was heard and is no announcement."""

    def __init__(self, options: NatsOptions, subjects: Subjects) -> None:
        self.ignored = 0
        self._subject = subjects.wakeups
        self._listeners: set[Listener] = set()
        self.connection = Connection(
            options, name="wake-ups", inbox=subjects.inbox, ready=self._listen, dropped=self._missed
        )

    @property
    def connected(self) -> bool:
        """Whether announcements reach anybody now."""
        return self.connection.client is not None

    async def announce(self, announcement: Announcement) -> None:
        """Tell the other instances, if the broker is there now."""
        client = self.connection.client
        if client is not None and client.pending_data_size < MOST_PENDING:
            with suppress(NatsError, OSError):
                await client.publish(self._subject, encode(announcement))

    async def announcements(self) -> AsyncIterator[Announcement]:
        """Yield what others announce; EVERYTHING first, and after each time that the connection was made."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.next()
        finally:
            self._listeners.discard(listener)

    async def _listen(self, client: SingleClient) -> None:
        """Subscribe on a new connection, and see that the server has it: from then on nothing is missed, and before that anything was."""
        await client.subscribe(self._subject, cb=self._hear)
        await client.reached(CONNECT_SECONDS)
        await self._missed(client)

    async def _hear(self, message: Msg) -> None:
        announcement = decode(message.data)
        if announcement is None:
            self.ignored += 1
            if self.ignored.bit_count() == 1:  # 1, 2, 4, 8: a flood does not fill the log
                _log.warning("wake-ups ignored", count=self.ignored)
            return
        for listener in self._listeners:
            listener.put(announcement)

    async def _missed(self, client: SingleClient) -> None:
        for listener in self._listeners:
            listener.put(EVERYTHING)
