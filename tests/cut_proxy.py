"""A way to a server over TCP that can be cut: before a request reaches the server, or after it has, without its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import TypeVar


class Cut(Enum):
    """What becomes of what a client sends next."""

    NO = "it arrives"
    BEFORE = "it is dropped, and the connection is closed"
    AFTER = "it arrives, and the connection is closed before an answer"


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.cut = Cut.NO
        """For the next bytes of any client; then connections are as they were."""
        self.refuses = False
        """Whether new connections are closed at once."""
        self.silent = False
        """Whether nothing that clients send arrives, and nobody is told."""
        self.swallowed = asyncio.Event()
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection."""
        if self.refuses:
            writer.close()
            return
        there_reader, there = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, there}
        answers = asyncio.create_task(_pass_on(there_reader, writer))
        try:
            while data := await reader.read(1 << 20):
                if self.silent:
                    self.swallowed.set()
                    continue
                if self.cut is not Cut.NO:
                    self.cuts += 1
                    if self.cut is Cut.AFTER:
                        answers.cancel()
                        there.write(data)
                        await there.drain()
                    self.cut = Cut.NO
                    writer.transport.abort()
                    break
                there.write(data)
                await there.drain()
        except OSError:
            pass
        finally:
            answers.cancel()
            there.close()
            writer.close()
            self._open -= {writer, there}

    def drop(self) -> None:
        """Close every connection."""
        for writer in self._open:
            writer.transport.abort()


ProxyT = TypeVar("ProxyT", bound=Proxy)


@asynccontextmanager
async def proxied(target: int) -> AsyncIterator[Proxy]:
    """Run a proxy in front of a port."""
    async with listening(Proxy(target)) as proxy:
        yield proxy


@asynccontextmanager
async def listening(proxy: ProxyT) -> AsyncIterator[ProxyT]:
    """Run a proxy."""
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.drop()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1 << 20):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
