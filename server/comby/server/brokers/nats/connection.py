"""One connection to a NATS server, made again whenever it is lost, until the context is left."""

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import structlog
from nats.errors import Error as NatsError

from comby.server.application import incidents
from comby.server.application.backoff import Backoff
from comby.server.brokers.nats.client import NotPermitted, PlainServer, SingleClient
from comby.server.brokers.nats.options import NatsOptions, tls_context
from comby.server.ports.errors import BrokerUnavailable

CONNECT_SECONDS = 2
"""For each step of a connection."""
ATTEMPT_SECONDS = 10.0
"""For all of them, and for what is made ready on it."""
PING_SECONDS = 1
"""Between pings; after three that are not answered the connection counts as lost."""
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 3.0
STEADY_SECONDS = 5.0
"""After which a connection is no try any more."""
FLAPPING = 3
"""Tries after which each further connection is not worth a line of the log."""
TELL_SECONDS = 60.0
"""Between two lines of the log that tell that the broker is still away."""

_log = structlog.get_logger("comby.broker")

Ready = Callable[[SingleClient], Awaitable[None]]


class Connection:
    """Keeps a client connected while `running`. `ready` prepares each new one before anybody else gets it; `dropped` is told
    when the client let go of messages that came faster than they were taken."""

    def __init__(
        self, options: NatsOptions, *, name: str, inbox: str, ready: Ready | None = None, dropped: Ready | None = None
    ) -> None:
        self._options = options
        self._name = name
        self._inbox = inbox
        self._ready = ready
        self._dropped = dropped
        self._client: SingleClient | None = None
        self._changed = asyncio.Event()
        self._reason = "not connected yet"
        self._told = 0.0
        self._next = random.randrange(len(options.servers))

    @property
    def client(self) -> SingleClient | None:
        """The client, while it is connected."""
        client = self._client
        return None if client is None or client.lost.done() else client

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect in the background, and stay so until the context is left."""
        task = asyncio.get_running_loop().create_task(self._run())
        try:
            yield
        finally:
            while not task.done():  # the library may swallow a cancellation
                task.cancel()
                await asyncio.wait((task,), timeout=0.1)

    async def connected(self, timeout: float) -> SingleClient:
        """Return the client, and wait at most `timeout` seconds for it. Raises BrokerUnavailable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.client is None:
                    self._changed.clear()
                    await self._changed.wait()
        client = self.client
        if client is None:
            raise BrokerUnavailable(self._reason)
        return client

    async def _run(self) -> None:
        backoff = Backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
        while True:
            client = self._made()
            try:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    server = await self._connect(client)
                    if self._ready is not None:
                        await self._ready(client)
                self._client = client
                self._changed.set()
                flapping = backoff.tries >= FLAPPING
                if not flapping:
                    _log.info("broker connected", connection=self._name, server=server)
                await asyncio.wait((client.lost,), timeout=STEADY_SECONDS)
                if not client.lost.done():
                    if flapping:  # the end of an outage
                        _log.info("broker connected", connection=self._name, server=server)
                    backoff.reset()
                    self._told = 0.0
                    await asyncio.wait((client.lost,))
                self._note(client.trouble)
            except (NatsError, OSError, TimeoutError, ssl.SSLError) as error:
                self._note(client.trouble or error)
            except Exception as error:
                incidents.report("broker connection failed", error, connection=self._name)
                self._reason = "failed, see the log"
            finally:
                self._client = None
                await client.abandon()
            await asyncio.sleep(backoff.next())

    def _made(self) -> SingleClient:
        async def dropped() -> None:
            if self._dropped is not None:
                await self._dropped(client)

        client = SingleClient(tls=self._options.tls, dropped=dropped)
        return client

    async def _connect(self, client: SingleClient) -> str:
        options = self._options
        server = options.servers[self._next % len(options.servers)]
        self._next += 1
        await client.connect(
            servers=[f"{'tls' if options.tls else 'nats'}://{server}"],
            name=f"comby {self._name}",
            error_cb=client.noted,
            allow_reconnect=False,
            max_reconnect_attempts=1,  # of a first connection: 0 and less would be for ever
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=3,
            no_echo=True,
            inbox_prefix=self._inbox,
            tls=tls_context(options),
            user=options.user,
            password=options.password,
            token=options.token,
            user_credentials=options.credentials,
            nkeys_seed=None if options.nkey is None else str(options.nkey),
        )
        return server

    def _note(self, error: Exception | None) -> None:
        """Remember why there is no connection, and tell it, but not all the time."""
        self._reason = reason_of(error)
        now = asyncio.get_running_loop().time()
        if now >= self._told:
            self._told = now + TELL_SECONDS
            _log.warning(
                "broker away",
                connection=self._name,
                reason=self._reason,
                error=type(error).__qualname__ if error else "",
            )


def reason_of(error: Exception | None) -> str:
    """Tell an error in a few words: of what a server says only what is known to hold no secret."""
    if isinstance(error, PlainServer):
        return "the server offers no TLS"
    if isinstance(error, NotPermitted):
        return "not permitted"
    if isinstance(error, ssl.SSLError):
        return "TLS failed"
    if error is not None and "authorization" in str(error).lower():
        return "not authorized"
    return "unreachable"
