"""Wake-ups over a real NATS server: heard by the others, made good after every reconnect, and never believed blindly."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import nats
import pytest

from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.brokers.nats.broker import NatsBroker
from comby.server.brokers.nats.wakeups import LONGEST, decode, encode
from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.broker import EVERYTHING, Announcement
from tests.brokers.nats_server import NatsServer, Way

LOG = LogIdentity("a-log", "its-first-life")
SOON = 10.0
HOSTILE = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b'{"head":',
    b'{"head":-1}',
    b'{"head":1.5}',
    b'{"head":true}',
    b'{"head":9223372036854775808}',
    b'{"head":1,"opened":[128]}',
    b'{"head":1,"opened":[-1]}',
    b'{"head":1,"opened":["1"]}',
    b'{"head":1,"opened":{"1":1}}',
    b'{"head":1,"ended":1}',
    b'{"head":1,"released":"yes"}',
    b'{"head":1,"text":"' + b"x" * LONGEST + b'"}',
    b"\xff\xfe\x00",
    b"[" * LONGEST,
]


@asynccontextmanager
async def listening(broker: NatsBroker) -> AsyncIterator[AsyncIterator[Announcement]]:
    """Yield what is announced, from after the connection was made."""
    await broker.connection.connected(SOON)
    async with asyncio.timeout(3 * SOON), aclosing(broker.announcements()) as heard:  # type: ignore[type-var]
        assert await anext(heard) == EVERYTHING  # whatever was said before
        yield heard


async def test_others_hear_what_one_announces(nats_options: NatsOptions) -> None:
    said = Announcement(head=Position(7), opened=frozenset({0, 127}), ended=True, released=True)
    async with (
        open_nats(nats_options, name="shop", log=LOG) as one,
        open_nats(nats_options, name="shop", log=LOG) as other,
        listening(other.broker) as heard,
    ):
        await one.broker.connection.connected(SOON)
        await one.broker.announce(said)
        assert await anext(heard) == said
        await one.broker.announce(Announcement(head=Position(8)))
        assert await anext(heard) == Announcement(head=Position(8))


async def test_an_app_hears_only_its_own(nats_options: NatsOptions) -> None:
    async with (
        open_nats(nats_options, name="bank", log=LOG) as bank,
        open_nats(nats_options, name="shop", log=LOG) as shop,
        open_nats(nats_options, name="shop", log=LOG) as other,
        listening(shop.broker) as heard,
    ):
        await bank.broker.connection.connected(SOON)
        await other.broker.connection.connected(SOON)
        await bank.broker.announce(Announcement(head=Position(1)))
        await other.broker.announce(Announcement(head=Position(2)))
        assert await anext(heard) == Announcement(head=Position(2))


async def test_what_a_reader_has_not_read_comes_as_one(nats_options: NatsOptions) -> None:
    async with (
        open_nats(nats_options, name="shop", log=LOG) as one,
        open_nats(nats_options, name="shop", log=LOG) as other,
        listening(other.broker) as slow,
        listening(other.broker) as fast,
    ):
        await one.broker.connection.connected(SOON)
        for head in range(1, 101):
            await one.broker.announce(Announcement(head=Position(head), opened=frozenset({head})))
        last = Position(0)
        while last < 100:
            last = (await anext(fast)).head
        assert await anext(slow) == Announcement(head=Position(100), opened=frozenset(range(1, 101)))


@pytest.mark.parametrize("how", ["killed", "broken", "silent"])
async def test_after_every_reconnect_anything_may_have_happened(nats_server: NatsServer, how: str) -> None:
    async with Way(nats_server.port) as way:
        options = NatsOptions(servers=(f"127.0.0.1:{way.port}",))
        async with open_nats(options, name="shop", log=LOG) as opened, listening(opened.broker) as heard:
            for _ in range(1 if how == "silent" else 3):
                if how == "killed":
                    nats_server.kill()
                    nats_server.start()
                elif how == "broken":
                    way.break_all()
                else:
                    way.cut()
                    lost = opened.broker.connection.client
                    assert lost is not None
                    await asyncio.wait([lost.lost], timeout=2 * SOON)
                    assert lost.lost.done()
                    way.mend()
                assert await anext(heard) == EVERYTHING


async def test_no_announcement_waits_for_a_broker_that_hangs(start_nats: Callable[..., NatsServer]) -> None:
    servers = [start_nats(), start_nats()]
    options = NatsOptions(servers=tuple(one.address for one in servers))
    async with open_nats(options, name="shop", log=LOG) as opened, listening(opened.broker) as heard:
        client = await opened.broker.connection.connected(SOON)
        assert client.connected_url is not None
        hanging = next(one for one in servers if one.port == client.connected_url.port)
        hanging.pause()
        longest = 0.0
        for _ in range(40_000):  # more than all buffers hold
            began = time.monotonic()
            await opened.broker.announce(EVERYTHING)
            longest = max(longest, time.monotonic() - began)
            await asyncio.sleep(0)
        assert longest < 1.0
        assert await anext(heard) == EVERYTHING  # the other server has taken over, and this one still hangs
        hanging.resume()


async def test_nothing_waits_for_a_broker_that_is_not_there(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    nats_server.kill()
    async with asyncio.timeout(SOON), open_nats(nats_options, name="shop", log=LOG) as opened:
        await opened.broker.announce(EVERYTHING)


async def test_what_is_no_announcement_is_counted_and_ignored(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with (
        open_nats(nats_options, name="shop", log=LOG) as opened,
        listening(opened.broker) as heard,
        await nats.connect(nats_server.url) as stranger,
    ):
        for payload in HOSTILE:
            await stranger.publish("shop.wakeups", payload)
        await stranger.publish("shop.wakeups", b'{"head":5,"of_a_newer_comby":[{}]}')
        assert await anext(heard) == Announcement(head=Position(5))
        assert opened.broker.ignored == len(HOSTILE)


@pytest.mark.parametrize("payload", HOSTILE, ids=lambda payload: repr(payload[:24]))
def test_hostile_payloads_are_told_apart(payload: bytes) -> None:
    assert decode(payload) is None


@pytest.mark.parametrize(
    "announcement",
    [EVERYTHING, Announcement(head=Position(0)), Announcement(head=Position(2**63 - 1), ended=True)],
)
def test_announcements_travel_as_they_are(announcement: Announcement) -> None:
    assert decode(encode(announcement)) == announcement
    assert len(encode(EVERYTHING)) < LONGEST / 8
