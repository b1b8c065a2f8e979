"""nats-py's client, made to fail at once and to be let go of: whoever holds it makes a new one.

Its own way to reconnect waits for the old connection to be closed, which takes for ever with a peer that does not read; and it keeps what
was not sent, and sends it later.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from nats.errors import ConnectionClosedError, Error, SlowConsumerError

T = TypeVar("T")
NOT_PERMITTED = "permissions violation"


class PlainServer(Error):
    """The server offers no TLS, and the client must not tell it anything without."""


class NotPermitted(Error):
    """The server does not permit what comby needs. A new connection finds out whether it does meanwhile."""


class SingleClient(Client):
    """One connection, for as long as it lasts. `lost` is done when it is gone. Make it on the loop that it runs on."""

    def __init__(self, *, tls: bool, dropped: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.trouble: Exception | None = None
        self._tls_only = tls
        self._dropped = dropped

    def lose(self, error: Exception | None = None) -> None:
        """Take the connection as gone."""
        self.trouble = error or self.trouble
        if not self.lost.done():
            self.lost.set_result(None)

    async def noted(self, error: Exception) -> None:
        """Take an error that happened outside of any call."""
        if isinstance(error, SlowConsumerError):
            await self._dropped()
        elif NOT_PERMITTED in str(error).lower():
            self.lose(NotPermitted())
        else:
            self.trouble = error

    async def unless_lost(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what some work on this connection returns. Raises ConnectionClosedError at once when the connection is lost."""
        task = asyncio.get_running_loop().create_task(work)
        try:
            await asyncio.wait((task, self.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait((task,))
        if task.cancelled():
            raise ConnectionClosedError
        return task.result()

    async def reached(self, timeout: int) -> None:
        """Wait until the server has everything that was sent. (`flush` alone overtakes what waits to be written.)"""
        await self._flush_pending(force_flush=True)
        await self.flush(timeout)

    async def abandon(self) -> None:
        """Let go of the connection, without waiting for the peer or sending anything more."""
        self.lose()
        self._pending.clear()
        self._pending_data_size = 0
        writer = self._transport._io_writer if isinstance(self._transport, TcpTransport) else None
        if writer is not None:
            writer.transport.abort()
        own = [self._reading_task, self._ping_interval_task, self._flusher_task]
        own += [subscription._wait_for_msgs_task for subscription in self._subs.values()]
        try:
            await self.close()
        except OSError as error:
            self.trouble = error
        if tasks := [task for task in own if task is not None]:
            await asyncio.wait(tasks, timeout=1)

    def _connect_command(self) -> bytes:
        """Refuse to introduce oneself in the clear where TLS is wanted: the library would."""
        if self._tls_only and not self._server_info.get("tls_required"):
            raise PlainServer
        return super()._connect_command()

    async def _process_op_err(self, e: Exception) -> None:
        """Take a broken connection as the end of it."""
        self.lose(e)

    async def _process_err(self, err_msg: str) -> None:
        """Take an error that the server tells as the end of the connection."""
        await self.noted(Error(f"nats: {err_msg}"))
        self.lose()
