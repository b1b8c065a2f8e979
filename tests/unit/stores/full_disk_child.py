"""A store whose files may not grow: the limit of the process that writes stands for a full disk.

python -m tests.unit.stores.full_disk_child URL
"""

import asyncio
import logging
import resource
import sys

import psutil

from comby.server.domain.identity import AggregateKey, Position
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import EventFilter
from comby.server.stores.sqlite import open_sqlite
from tests.unit.stores.store_requests import append

LIMIT = 4 << 20


async def main(url: str) -> None:
    async with open_sqlite(url) as store:
        (writer,) = psutil.Process().children()
        limit = resource.prlimit(writer.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (LIMIT, limit[1]))
        acknowledged = 0
        refused = 0
        while refused < 3:
            record = b"secret" * 20_000
            writes = [append("o-1", after=acknowledged, record=record), append(f"p-{acknowledged}", record=record)]
            try:
                await store.events.commit(writes)
                acknowledged += 1
            except StoreUnavailable:
                refused += 1
                assert await store.events.head() == 2 * acknowledged
                page = await store.events.read(after=Position(0), filter=EventFilter(), limit=1_000, max_bytes=1 << 30)
                assert len(page.events) == 2 * acknowledged
        resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, limit)
        await store.events.commit([append("o-1", after=acknowledged), append("o-2")])
        assert await store.events.version(AggregateKey("acme", "Order", "o-1")) == (acknowledged + 1, False)
        head = await store.events.head()
        assert head == 2 * acknowledged + 2
        assert acknowledged > 2
        assert writer.is_running()
    async with open_sqlite(url) as store:
        assert await store.events.head() == head
    print("refused, read, and resumed")


if __name__ == "__main__":
    logging.basicConfig()
    asyncio.run(main(sys.argv[1]))
