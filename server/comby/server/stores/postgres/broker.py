"""The broker where there is no other: notifications of the database, heard on a connection of its own."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from comby.server.ports.broker import EVERYTHING, Announcement, Broker
from comby.server.stores.postgres.announcing import CHANNEL, merged, read_announcement, write_announcement
from comby.server.stores.postgres.connection import Connection, connect
from comby.server.stores.postgres.failures import DRIVER_ERRORS
from comby.server.stores.postgres.statements import statement

log = logging.getLogger("comby.store")

LOOK_SECONDS = 5.0
"""After so long a silence the connection is tried: one that was cut off says nothing."""
ANSWER_SECONDS = 3.0
LEAST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 3.0
"""Between two attempts to connect, doubled each time: heard again within 5 s of the database's return."""


@asynccontextmanager
async def open_postgres_broker(url: str, sender: str) -> AsyncIterator[Broker]:
    """Open the broker of an instance, in whose name `open_postgres` tells of commits. It connects when somebody listens."""
    broker = PostgresBroker(url, sender)
    try:
        yield broker
    finally:
        broker.close()


class PostgresBroker(Broker):
    """Hears what other instances say. One listener at a time."""

    def __init__(self, url: str, sender: str) -> None:
        self._url = url
        self._sender = sender
        self._ear: Connection | None = None
        self._heard: Announcement | None = None
        self._something = asyncio.Event()
        self._asking = asyncio.Lock()
        """One question at a time on the one connection."""

    async def announce(self, announcement: Announcement) -> None:
        """Tell of holdings that were given back. Commits are told by the append, in their own transaction."""
        if not announcement.released or self._ear is None:
            return
        payload = write_announcement(self._sender, announcement)
        try:
            async with self._asking:
                await self._ear.fetchval(statement("notify"), CHANNEL, payload, timeout=ANSWER_SECONDS)
        except DRIVER_ERRORS as error:
            log.info("an announcement was lost: %s", type(error).__name__)

    async def announcements(self) -> AsyncIterator[Announcement]:
        """Yield what others announce; EVERYTHING first, and after each time that the connection was made."""
        pause = LEAST_PAUSE_SECONDS
        while True:
            try:
                async with self._listening() as connection:
                    pause = LEAST_PAUSE_SECONDS
                    yield EVERYTHING
                    while await self._wait(connection):
                        heard, self._heard = self._heard, None
                        if heard is not None:
                            yield heard
            except DRIVER_ERRORS as error:
                log.warning("the notifications of the database are not heard: %s", type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._ear is not None:
            self._ear.terminate()
            self._ear = None

    @asynccontextmanager
    async def _listening(self) -> AsyncIterator[Connection]:
        connection = await connect(self._url)
        try:
            connection.add_termination_listener(lambda _: self._something.set())
            await connection.add_listener(CHANNEL, self._hear)
            self._ear, self._heard = connection, None
            yield connection
        finally:
            self._ear = None
            connection.terminate()

    async def _wait(self, connection: Connection) -> bool:
        """Wait until something is heard; false when the connection is gone."""
        self._something.clear()
        if self._heard is None and not connection.is_closed():
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._something.wait()
            except TimeoutError:
                async with self._asking:
                    await connection.fetchval(statement("look"), timeout=ANSWER_SECONDS)
        return not connection.is_closed()

    def _hear(self, connection: Any, process: int, channel: str, payload: object) -> None:
        try:
            sender, announcement = read_announcement(str(payload))
        except ValueError:
            log.warning("a notification on the channel %s is not one of comby", CHANNEL)
            return
        if sender != self._sender:
            self._heard = merged(self._heard, announcement)
            self._something.set()
