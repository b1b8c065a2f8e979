"""A relay over a real store and a real NATS server, in this process."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from comby.facade.v1 import context_pb2, event_pb2
from comby.server.application.commit_queue import CommitQueue
from comby.server.application.event_bus import EventBus
from comby.server.application.limits import Limits
from comby.server.application.log_tail import LogTail
from comby.server.application.relay import Relay, RelayOptions
from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import Position
from comby.server.ports.elements import message
from comby.server.ports.event_publisher import EventPublisher
from comby.server.ports.event_store import EventFilter, FinishCommand
from comby.server.ports.store import Store
from comby.server.stores.sqlite import open_sqlite
from tests.brokers.outgoing import held
from tests.contract.making import append, order
from tests.waiting import SOON

APP = "shop"


class Log:
    """A store that is written to, as a running facade does it."""

    def __init__(self, store: Store, queue: CommitQueue, tail: LogTail) -> None:
        self.store = store
        self.queue = queue
        self.tail = tail

    async def write(self, count: int = 1) -> None:
        """Append so many events, each of an aggregate of its own."""
        await asyncio.gather(*(self.queue.submit(_write()) for _ in range(count)))

    async def events(self) -> list[bytes]:
        """Return all events, complete."""
        page = await self.store.events.read(after=Position(0), filter=EventFilter(), limit=1_000_000, max_bytes=1 << 30)
        return [message(one.record, one.position, one.recorded_at) for one in page.events]

    def relay(self, publisher: EventPublisher, options: RelayOptions | None = None) -> Relay:
        """Return a relay, which is not started."""
        return Relay(self.store, self.queue, self.tail, publisher, options or RelayOptions(), lambda _: True)

    async def checkpoint(self) -> int:
        """Return the relay's stored checkpoint."""
        return next(one.position for one in await self.store.checkpoints.consumers() if one.name == "relay")


@asynccontextmanager
async def log(url: str = "sqlite://:memory:") -> AsyncIterator[Log]:
    """Open a store and run what writes and follows it."""
    limits = Limits()
    async with open_sqlite(url) as store:
        bus = EventBus(await store.events.head())
        tail = LogTail(store.events, bus, limits, lambda _: None)
        queue = CommitQueue(store.events, bus, limits, tail.offer, None)
        tasks = [asyncio.create_task(queue.run()), asyncio.create_task(tail.run())]
        try:
            yield Log(store, queue, tail)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def relaying(opened: Log, nats: NatsOptions, options: RelayOptions | None = None) -> AsyncIterator[Relay]:
    """Run a relay over a connection of its own."""
    async with open_nats(nats, name=APP, log=opened.store.events.identity) as broker:
        relay = opened.relay(broker.publisher, options)
        relay.start()
        try:
            yield relay
        finally:
            await relay.stop()


async def caught_up(relay: Relay) -> None:
    """Wait until the relay has published everything."""
    async with asyncio.timeout(SOON):
        while True:
            view = await relay.view()
            if view.position == view.head and view.failure is None:
                return
            await asyncio.sleep(0.01)


async def assert_whole(opened: Log, url: str, *, after: int = 0) -> None:
    """The stream has every event of the log once and in order, as a subscriber gets it; other messages are left out."""
    events = [one for one in await opened.events() if event_pb2.Event.FromString(one).position > after]
    ours = [one for one in await held(url) if one.headers.get("Comby-Incarnation")]
    assert [event_pb2.Event.FromString(one).position for one in events] == [one.position for one in ours]
    assert events == [one.data for one in ours]
    ids = [one.headers["Nats-Msg-Id"] for one in ours]
    assert len(ids) == len(set(ids))


def _write() -> FinishCommand:
    key = order(str(uuid.uuid4()))
    event = event_pb2.Event(
        event_id=str(uuid.uuid4()),
        domain=key.domain,
        aggregate_id=key.aggregate_id,
        version=1,
        type="Order.OrderPlaced",
        request_id=str(uuid.uuid4()),
        context=context_pb2.RequestContext(tenant_id=key.tenant_id, correlation_id="why", traceparent="00-1-2-01"),
    )
    return append(key, record=event.SerializeToString())
