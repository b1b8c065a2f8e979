"""The stream of events on a real NATS server: what is in it, and that nobody can bring it out of order."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import nats
import pytest
from nats.js.api import StreamConfig

from comby.server.brokers.nats import NatsOptions, StreamOptions, open_nats
from comby.server.brokers.nats import publisher as publisher_module
from comby.server.domain.identity import LogIdentity
from comby.server.ports.errors import BrokerError, BrokerUnavailable, StreamOvertaken, StreamRefused
from comby.server.ports.event_publisher import EventPublisher, StreamEnd, StreamPlace
from tests.brokers.nats_server import NatsServer
from tests.brokers.outgoing import STREAM, held, outgoing, some

LOG = LogIdentity("a-log", "its-first-life")
START = StreamPlace(sequence=0)
SOON = 20.0


@pytest.fixture
async def publisher(nats_options: NatsOptions) -> AsyncIterator[EventPublisher]:
    """A publisher of the app "shop"."""
    async with open_nats(nats_options, name="shop", log=LOG) as opened:
        yield opened.publisher


async def test_a_new_stream_is_made_and_empty(publisher: EventPublisher) -> None:
    assert await publisher.end(limit=10) == StreamEnd(sequence=0, newest=[])


async def test_a_message_is_the_event_with_what_a_consumer_needs(
    publisher: EventPublisher, nats_server: NatsServer
) -> None:
    await publisher.end(limit=1)
    first, second = outgoing(1), outgoing(2, tenant="north")
    published = await publisher.publish([first, second], after=START)
    assert published == StreamPlace(sequence=2, event_id="event-2")
    one, two = await held(nats_server.url)
    assert (one.subject, two.subject) == (
        "shop.events.default.Order.OrderPlaced",
        "shop.events.north.Order.OrderPlaced",
    )
    assert (one.data, two.data) == (first.message, second.message)
    assert {
        "Nats-Msg-Id": "event-2",
        "Nats-Expected-Stream": STREAM,
        "Nats-Expected-Last-Msg-Id": "event-1",
        "Comby-Position": "2",
        "Comby-Version": "2",
        "Comby-Incarnation": "its-first-life",
        "Comby-Correlation-Id": "why",
        "traceparent": second.traceparent,
    } == two.headers


@pytest.mark.parametrize(
    ("tenant", "token"),
    [
        ("*", "=2A"),
        (">", "=3E"),
        ("a.b", "a=2Eb"),
        ("a b", "a=20b"),
        ("", "="),
        ("ä", "=C3=A4"),
        ("=41", "=3D41"),
        ("\r\n", "=0D=0A"),
    ],
)
async def test_no_name_reaches_into_the_subjects(
    publisher: EventPublisher, nats_server: NatsServer, tenant: str, token: str
) -> None:
    await publisher.end(limit=1)
    await publisher.publish([outgoing(1, tenant=tenant)], after=START)
    assert [f"shop.events.{token}.Order.OrderPlaced"] == [one.subject for one in await held(nats_server.url)]


async def test_what_is_published_again_is_there_once(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 5), after=START)
    for after in (START, StreamPlace(sequence=5), StreamPlace(sequence=5, event_id="event-5")):
        with suppress(StreamOvertaken):  # or it is recognised
            await publisher.publish(some(1, 5), after=after)
    assert [1, 2, 3, 4, 5] == [one.position for one in await held(nats_server.url)]


async def test_events_go_only_behind_those_before_them(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    end = await publisher.publish(some(1, 5), after=START)
    for wrong in (START, replace(end, sequence=4), replace(end, event_id="event-4"), StreamPlace(sequence=6)):
        with pytest.raises(StreamOvertaken):
            await publisher.publish(some(7, 9), after=wrong)
    assert [1, 2, 3, 4, 5] == [one.position for one in await held(nats_server.url)]
    await publisher.publish(some(6, 7), after=StreamPlace(sequence=5))
    assert [1, 2, 3, 4, 5, 6, 7] == [one.position for one in await held(nats_server.url)]


async def test_a_hole_inside_a_batch_stores_only_what_is_before_it(
    publisher: EventPublisher, nats_server: NatsServer
) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 2), after=START)
    stranger = await nats.connect(nats_server.url)
    await stranger.jetstream().publish("shop.events.x", b"forged", headers={"Nats-Msg-Id": "event-4"})
    await stranger.close()
    with pytest.raises(StreamOvertaken):
        await publisher.publish([outgoing(3), outgoing(4), outgoing(5)], after=StreamPlace(sequence=3))
    assert [1, 2, 0, 3] == [one.position for one in await held(nats_server.url)]


async def test_two_publishers_make_one_stream(nats_options: NatsOptions, nats_server: NatsServer) -> None:
    async def relay(publisher: EventPublisher) -> None:
        done = 0
        while done < 300:
            end = await publisher.end(limit=1)
            done = end.newest[0].position if end.newest else 0
            place = StreamPlace(sequence=end.sequence, event_id=f"event-{done}" if done else "")
            try:
                await publisher.publish(some(done + 1, min(done + 7, 300)), after=place)
            except StreamOvertaken:
                lost.append(done)

    lost: list[int] = []
    async with (
        asyncio.timeout(SOON),
        open_nats(nats_options, name="shop", log=LOG) as one,
        open_nats(nats_options, name="shop", log=LOG) as other,
    ):
        await asyncio.gather(relay(one.publisher), relay(other.publisher))
    assert list(range(1, 301)) == [one.position for one in await held(nats_server.url)]


async def test_the_end_is_told_whoever_wrote_it(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 3), after=START)
    async with await nats.connect(nats_server.url) as stranger:
        for headers in ({"Comby-Position": "x"}, {"Comby-Position": "99", "Nats-Msg-Id": "f"}, {"Comby-Position": "٣"}):
            await stranger.jetstream().publish("shop.events.x.y.z", b"", headers=headers)
    end = await publisher.end(limit=5)
    assert 6 == end.sequence
    assert [(6, 0, ""), (5, 99, "f"), (4, 0, ""), (3, 3, "event-3"), (2, 2, "event-2")] == [
        (one.sequence, one.position, one.event_id) for one in end.newest
    ]


async def test_an_emptied_stream_remembers_its_end(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 3), after=START)
    async with await nats.connect(nats_server.url) as operator:
        await operator.jetstream().purge_stream(STREAM)
    nats_server.kill()  # now it does not even know the last id
    nats_server.start()
    end = await _when_back(publisher)
    assert end == StreamEnd(sequence=3, newest=[])
    await publisher.publish(some(4, 5), after=StreamPlace(sequence=3))
    assert [4, 5] == [one.position for one in await held(nats_server.url)]


async def test_a_deleted_storage_is_a_new_stream(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 3), after=START)
    nats_server.kill()
    nats_server.delete_storage()
    nats_server.start()
    assert await _when_back(publisher) == StreamEnd(sequence=0, newest=[])


async def test_what_arrives_late_is_there_once(
    publisher: EventPublisher, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "ANSWER_SECONDS", 0.5)
    await publisher.end(limit=1)
    end = await publisher.publish(some(1, 3), after=START)
    nats_server.pause()
    with pytest.raises(BrokerUnavailable):  # but all of it waits in the socket
        await publisher.publish(some(4, 9), after=end)
    nats_server.resume()
    await _when_back(publisher)
    with suppress(StreamOvertaken):
        await publisher.publish(some(4, 9), after=end)
    assert list(range(1, 10)) == [one.position for one in await held(nats_server.url)]


async def test_what_is_not_there_is_told(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    nats_server.kill()
    for call in (lambda: publisher.end(limit=1), lambda: publisher.publish(some(1, 1), after=START)):
        with pytest.raises(BrokerUnavailable):
            await call()


async def test_a_stream_that_is_gone_is_told(publisher: EventPublisher, nats_server: NatsServer) -> None:
    await publisher.end(limit=1)
    async with await nats.connect(nats_server.url) as operator:
        await operator.jetstream().delete_stream(STREAM)
    with pytest.raises(BrokerUnavailable, match="no stream takes events"):
        await publisher.publish(some(1, 1), after=START)
    assert await publisher.end(limit=1) == StreamEnd(sequence=0, newest=[])


async def test_an_event_that_is_too_large_is_told(start_nats: Callable[..., NatsServer]) -> None:
    server = start_nats("max_payload: 4096")
    async with open_nats(NatsOptions(servers=(server.address,)), name="shop", log=LOG) as opened:
        await opened.publisher.end(limit=1)
        with pytest.raises(StreamRefused, match="max_payload"):
            await opened.publisher.publish([outgoing(1), outgoing(2, size=5000)], after=START)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"subjects": ["shop.events.>", "other"]}, "other subjects"),
        ({"retention": "workqueue"}, "retention by limits"),
        ({"storage": "memory"}, "storage in files"),
        ({"discard": "new"}, "drop only the oldest"),
        ({"max_msgs_per_subject": 1}, "drop only the oldest"),
        ({"metadata": {"comby-log": "another"}}, "events of another log"),
    ],
)
async def test_a_stream_for_something_else_is_refused(
    publisher: EventPublisher, nats_server: NatsServer, config: dict[str, Any], told: str
) -> None:
    async with await nats.connect(nats_server.url) as operator:
        await operator.jetstream().add_stream(StreamConfig(name=STREAM, **{"subjects": ["shop.events.>"], **config}))
    with pytest.raises(StreamRefused, match=told):
        await publisher.end(limit=1)


async def test_a_stream_is_brought_in_line_with_the_settings(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with await nats.connect(nats_server.url) as operator:
        jetstream = operator.jetstream()
        await jetstream.add_stream(
            StreamConfig(name=STREAM, subjects=["shop.events.>"], description="kept", max_age=1000)
        )
        for options in (
            StreamOptions(max_age=60, max_bytes=10_000_000),
            StreamOptions(),
            StreamOptions(max_age=0),
        ):
            async with open_nats(replace(nats_options, stream=options), name="shop", log=LOG) as opened:
                for _ in range(2):
                    await opened.publisher.end(limit=1)
            config = (await jetstream.stream_info(STREAM)).config
            assert (options.max_age, options.max_bytes or -1) == (config.max_age, config.max_bytes)
            assert ("kept", 60 if options.max_age == 60 else 120) == (config.description, config.duplicate_window)


async def test_a_stream_of_others_is_only_checked(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    options = replace(nats_options, stream=StreamOptions(managed=False))
    async with open_nats(options, name="shop", log=LOG) as opened, await nats.connect(nats_server.url) as operator:
        with pytest.raises(StreamRefused, match="no stream shop-events"):
            await opened.publisher.end(limit=1)
        await operator.jetstream().add_stream(StreamConfig(name=STREAM, subjects=["shop.events.>"], max_age=1000))
        assert await opened.publisher.end(limit=1) == StreamEnd(sequence=0, newest=[])
        assert 1000 == (await operator.jetstream().stream_info(STREAM)).config.max_age


async def _when_back(publisher: EventPublisher) -> StreamEnd:
    async with asyncio.timeout(SOON):
        while True:
            try:
                return await publisher.end(limit=10)
            except BrokerError:
                await asyncio.sleep(0.02)
