"""A publisher in a process of its own, made to be frozen: `ADDRESS COUNT`. It prints each position that the stream has, and how it ended."""

import asyncio
import sys

from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import LogIdentity
from comby.server.logs import configure_logs
from comby.server.ports.errors import BrokerError
from comby.server.ports.event_publisher import StreamPlace
from tests.brokers.outgoing import outgoing


async def main(address: str, count: int) -> None:
    """Publish one event after the other, from memory alone, until it is refused."""
    log = LogIdentity("a-log", "its-first-life")
    async with open_nats(NatsOptions(servers=(address,)), name="shop", log=log) as opened:
        place = StreamPlace(sequence=0)
        await opened.publisher.connection.connected(10)
        for position in range(1, count + 1):
            try:
                place = await opened.publisher.publish([outgoing(position)], after=place)
            except BrokerError as error:
                print(type(error).__name__, flush=True)
                return
            print(position, flush=True)


if __name__ == "__main__":
    configure_logs("error")
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
