"""The connections that read: a few, made when they are needed, and made again when they were lost."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from comby.server.ports.errors import StoreUnavailable
from comby.server.stores.postgres.connection import Connection, close
from comby.server.stores.postgres.connector import Connector
from comby.server.stores.postgres.failures import DRIVER_ERRORS, lost, refuse_unstorable, unavailable

ResultT = TypeVar("ResultT")

READERS = 8
"""Connections at most: a page costs the database some milliseconds, and one process reads no more at once than it has CPU for."""
TURN_SECONDS = 5.0
"""To wait for one of them."""


class Readers:
    """Runs work on a connection that nobody else uses meanwhile."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._turns = asyncio.Semaphore(READERS)
        self._idle: list[Connection] = []
        self._closed = False

    async def run(self, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        """Do work that may be done twice: once more where an idle connection turned out to be lost. Raises StoreUnavailable."""
        try:
            async with asyncio.timeout(
                TURN_SECONDS
            ):  # wait_for of Python 3.11 may swallow that the caller is cancelled
                await self._turns.acquire()
        except TimeoutError:
            raise StoreUnavailable("the database is too slow for what is asked of it") from None
        try:
            if (connection := self._pop()) is not None:
                try:
                    return await self._use(connection, work)
                except DRIVER_ERRORS as error:
                    if not lost(error):
                        raise unavailable(error) from None
                    self._give_up_idle()
            try:
                return await self._use(await self._connect(), work)
            except DRIVER_ERRORS as error:
                raise unavailable(error) from None
        finally:
            self._turns.release()

    async def close(self) -> None:
        """Refuse further work, and close what is idle; what is in use is closed when it is given back."""
        self._closed = True
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(close, idle))

    async def _use(self, connection: Connection, work: Callable[[Connection], Awaitable[ResultT]]) -> ResultT:
        try:
            result = await work(connection)
        except BaseException as error:
            connection.terminate()  # also where the caller was cancelled: nobody knows what the connection is doing
            refuse_unstorable(error)
            raise
        if self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)
        return result

    async def _connect(self) -> Connection:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return await self._connector.connect()

    def _give_up_idle(self) -> None:
        """Close what has been idle: where one was lost all are, and each would be found out by itself."""
        while (connection := self._pop()) is not None:
            connection.terminate()

    def _pop(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return None
