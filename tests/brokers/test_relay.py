"""The relay: everything once and in order, whatever has happened to the stream, and whoever wrote to it."""

import asyncio
import shutil
from dataclasses import replace

import nats
import pytest
from nats.aio.client import Client

from comby.server.application import relay as relay_module
from comby.server.application.claims import now_micros
from comby.server.application.relay import Relay, RelayOptions
from comby.server.application.requests import ConsumerView
from comby.server.application.stream_resume import LOOK_BACK
from comby.server.brokers.nats import NatsOptions, open_nats
from comby.server.domain.identity import Position
from comby.server.ports.checkpoint_store import AdvanceConsumer, Advanced
from comby.server.ports.event_store import EventFilter
from tests.brokers.nats_server import NatsServer, Way
from tests.brokers.outgoing import STREAM, Held, held
from tests.brokers.relaying import APP, Log, assert_whole, caught_up, log, relaying
from tests.waiting import until

HISTORY = RelayOptions()
CHECKPOINT = RelayOptions(history=False)
_ALL = EventFilter()


async def test_every_event_is_published_once_and_in_order(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with log() as opened:
        await opened.write(100)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
            for _ in range(20):
                await opened.write(7)
            await caught_up(relay)
            await assert_whole(opened, nats_server.url)
        assert await opened.checkpoint() == 240
        one = (await held(nats_server.url))[-1]
        assert one.subject == "shop.events.acme.Order.OrderPlaced"
        assert ("240", "why", "00-1-2-01") == tuple(
            one.headers[name] for name in ("Comby-Position", "Comby-Correlation-Id", "traceparent")
        )


async def test_a_restart_goes_on_where_the_stream_ends(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with log() as opened:
        for _ in range(3):
            await opened.write(50)
            async with relaying(opened, nats_options) as relay:
                await caught_up(relay)
        await _set_checkpoint(opened, 20)  # as after a crash: published, and not saved
        await opened.write(50)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
            assert relay.counts.published == 50
        await assert_whole(opened, nats_server.url)


async def test_the_checkpoint_is_saved_while_it_runs(nats_options: NatsOptions) -> None:
    async with log() as opened, relaying(opened, nats_options) as relay:
        await opened.write(10)
        await caught_up(relay)
        async with asyncio.timeout(10):
            while await opened.checkpoint() != 10:
                await asyncio.sleep(0.02)


async def test_it_waits_for_a_broker_that_is_not_there(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    nats_server.kill()
    async with log() as opened, relaying(opened, nats_options) as relay:
        await opened.write(10)
        failing = await _failing(relay)
        assert (failing.position, failing.head, failing.failure and failing.failure.position) == (0, 10, 1)
        nats_server.start()
        await caught_up(relay)
        await assert_whole(opened, nats_server.url)


@pytest.mark.parametrize("options", [HISTORY, CHECKPOINT], ids=["history", "checkpoint"])
async def test_after_a_deleted_storage(
    nats_server: NatsServer, nats_options: NatsOptions, options: RelayOptions
) -> None:
    async with log() as opened:
        await opened.write(30)
        async with relaying(opened, nats_options, options) as relay:
            await caught_up(relay)
            await opened.write(30)
            await caught_up(relay)
            nats_server.kill()
            nats_server.delete_storage()
            nats_server.start()
            await opened.write(30)
            await caught_up(relay)
        if options.history:
            assert relay.counts.lost == 60
            await assert_whole(opened, nats_server.url)
        else:
            positions = [one.position for one in await held(nats_server.url)]
            assert positions == list(range(positions[0], 91))
            assert positions[0] <= 61


async def test_an_idle_relay_notices_that_the_storage_is_gone(
    nats_server: NatsServer, nats_options: NatsOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.2)
    async with log() as opened, relaying(opened, nats_options) as relay:
        await opened.write(30)
        await caught_up(relay)
        nats_server.kill()
        nats_server.delete_storage()
        nats_server.start()
        await until("all is published again", lambda: relay.counts.published == 60)
        await assert_whole(opened, nats_server.url)


async def test_a_stream_is_filled_with_what_it_would_still_keep(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with log() as opened:
        await opened.write(10)
        last = (await opened.store.events.read(after=Position(9), filter=_ALL, limit=1, max_bytes=1)).events[0]
        while now_micros() - last.recorded_at < 1_100_000:
            await asyncio.sleep(0.01)
        await opened.write(10)
        async with relaying(opened, nats_options, RelayOptions(keep=1.0)) as relay:
            await caught_up(relay)
        await assert_whole(opened, nats_server.url, after=10)


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
async def test_after_a_purge_it_goes_on(nats_server: NatsServer, nats_options: NatsOptions, restarted: bool) -> None:
    async with log() as opened, relaying(opened, nats_options) as relay:
        await opened.write(30)
        await caught_up(relay)
        async with await nats.connect(nats_server.url) as operator:
            await operator.jetstream().purge_stream(STREAM)
        if restarted:
            nats_server.kill()
            nats_server.start()
        await opened.write(30)
        await caught_up(relay)
        await assert_whole(opened, nats_server.url, after=30)


async def test_a_broker_that_lost_its_last_messages_gets_them_again(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with log() as opened, relaying(opened, nats_options) as relay:
        await opened.write(30)
        await caught_up(relay)
        nats_server.kill()
        shutil.copytree(nats_server.storage, nats_server.storage.with_name("before"))
        nats_server.start()
        await opened.write(30)
        await caught_up(relay)
        nats_server.kill()
        nats_server.delete_storage()
        nats_server.storage.with_name("before").rename(nats_server.storage)
        nats_server.start()
        await until("all is published again", lambda: relay.counts.published == 90)
        assert relay.counts.lost == 30
        await assert_whole(opened, nats_server.url)


async def test_forged_messages_are_counted_and_written_around(
    nats_server: NatsServer, nats_options: NatsOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_module, "LOOK_SECONDS", 0.2)
    async with (
        log() as opened,
        relaying(opened, nats_options) as relay,
        await nats.connect(nats_server.url) as stranger,
    ):
        await opened.write(10)
        await caught_up(relay)
        published = await held(nats_server.url)
        for number, forged in enumerate(_forgeries(published), 1):
            await _forge(stranger, forged)
            await opened.write(3)
            await caught_up(relay)
            assert relay.counts.foreign == number
        await _forge(stranger, _forgeries(published)[0])
        await until("an idle relay sees it too", lambda: relay.counts.foreign == number + 1)
        await assert_whole(opened, nats_server.url)


async def test_a_flood_of_forged_messages_is_no_place_to_go_on(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with log() as opened:
        await opened.write(10)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
        await _flood(nats_server, 10)
        await opened.write(10)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
        assert relay.counts.foreign == LOOK_BACK[0] + 20
        await assert_whole(opened, nats_server.url)


async def test_a_flood_behind_what_was_published_and_not_saved(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    """Seen failing: it went on from the checkpoint, found its events there already, and stood still; later they were in the stream twice."""
    async with log() as opened:
        await opened.write(10)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
        await _set_checkpoint(opened, 5)  # as after a crash
        await _flood(nats_server, 90)
        await opened.write(5)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
            assert 5 == relay.counts.published
        await assert_whole(opened, nats_server.url)


async def test_events_of_long_ago_sent_again_do_not_turn_it_back(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    async with log() as opened:
        await opened.write(30)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
        old = (await held(nats_server.url))[4]
        async with await nats.connect(nats_server.url) as stranger:
            await _past_the_window(stranger)
            for _ in range(3):
                await _forge(
                    stranger,
                    replace(old, headers={name: old.headers[name] for name in ("Nats-Msg-Id", "Comby-Position")}),
                )
                await _past_the_window(stranger)
        await opened.write(30)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
        assert relay.counts.published == 30
        await assert_whole(opened, nats_server.url)


async def test_a_restored_log_goes_on_with_its_own_events(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    """The stream has events that the log has not any more: positions behind the backup are given again."""
    async with log() as lost, relaying(lost, nats_options) as relay:
        await lost.write(5)
        await caught_up(relay)
        identity = lost.store.events.identity
    async with log() as restored:
        await restored.write(8)
        async with open_nats(nats_options, name=APP, log=replace(identity, incarnation="its second life")) as broker:
            relay = restored.relay(broker.publisher)
            relay.start()
            await caught_up(relay)
            await relay.stop()
        ours = [one for one in await held(nats_server.url) if one.headers["Comby-Incarnation"] == "its second life"]
        assert [one.data for one in ours] == await restored.events()


async def test_two_relays_make_one_stream(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with log() as opened, relaying(opened, nats_options) as one, relaying(opened, nats_options) as other:
        for _ in range(30):
            await opened.write(5)
        await caught_up(one)
        await caught_up(other)
        await assert_whole(opened, nats_server.url)


async def test_what_a_frozen_relay_had_sent_comes_too_late(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with Way(nats_server.port) as way, log() as opened:
        frozen_options = replace(nats_options, servers=(f"127.0.0.1:{way.port}",))
        async with relaying(opened, frozen_options) as frozen:
            await opened.write(20)
            await caught_up(frozen)
            way.cut()
            await opened.write(20)  # the frozen one sends them, and they do not arrive
            async with relaying(opened, nats_options) as other:
                await caught_up(other)
                await opened.write(20)
                await caught_up(other)
            await _past_the_window_of(nats_server)
            way.mend()
            await opened.write(20)
            await caught_up(frozen)
        await assert_whole(opened, nats_server.url)
        assert await opened.checkpoint() == 80


async def test_stopping_ends_it_whatever_it_waits_for(nats_server: NatsServer, nats_options: NatsOptions) -> None:
    async with log() as opened, open_nats(nats_options, name=APP, log=opened.store.events.identity) as broker:
        relay = opened.relay(broker.publisher)
        for state in ("idle", "paused", "dead"):
            relay.start()
            await opened.write(5)
            if state == "idle":
                await caught_up(relay)
            elif state == "paused":
                nats_server.pause()
                await opened.write(5)
            else:
                nats_server.resume()
                nats_server.kill()
                await _failing(relay)
            async with asyncio.timeout(3):
                await relay.stop()
                await relay.stop()
            assert (await relay.view()).failure is None


def _forgeries(published: list[Held]) -> list[Held]:
    """Return messages that somebody else could write."""
    last, earlier = published[-1], published[2]
    subject = last.subject
    return [
        Held(0, "shop.events.x", {}, b""),
        Held(0, subject, {"Comby-Position": "11", "Nats-Msg-Id": "f-1"}, b"\xff"),
        Held(0, subject, {"Comby-Position": "999999999999999999", "Nats-Msg-Id": "f-2"}, last.data),
        Held(0, subject, {"Comby-Position": "-1", "Nats-Msg-Id": "f-3"}, last.data),
        Held(0, subject, {"Comby-Position": str(earlier.position), "Nats-Msg-Id": "f-4"}, earlier.data),
    ]


async def _flood(server: NatsServer, first: int) -> None:
    """Forge more messages than are looked at at first, which tell of positions from one on."""
    async with await nats.connect(server.url) as stranger:
        for position in range(first, first + LOOK_BACK[0] + 20):
            await _forge(stranger, Held(0, "shop.events.a.B.C", {"Comby-Position": str(position)}, b""))


async def _forge(stranger: Client, forged: Held) -> None:
    await stranger.jetstream().publish(forged.subject, forged.data, headers=forged.headers)


async def _past_the_window(operator: Client) -> None:
    """Let the broker forget which messages came before: shorten its window until it has passed."""
    jetstream = operator.jetstream()
    config = (await jetstream.stream_info(STREAM)).config
    await jetstream.update_stream(replace(config, duplicate_window=0.1))
    await asyncio.sleep(0.3)
    await jetstream.update_stream(replace(config, duplicate_window=120))


async def _past_the_window_of(server: NatsServer) -> None:
    async with await nats.connect(server.url) as operator:
        await _past_the_window(operator)


async def _failing(relay: Relay) -> ConsumerView:
    async with asyncio.timeout(20):
        while (view := await relay.view()).failure is None:
            await asyncio.sleep(0.01)
        return view


async def _set_checkpoint(opened: Log, position: int) -> None:
    before = Position(await opened.checkpoint())
    verdict = await opened.queue.submit(
        AdvanceConsumer(name="relay", generation=1, before=before, after=Position(position))
    )
    assert verdict == Advanced()


async def test_each_cause_of_a_failure_is_told_and_what_was_lost_is_counted_once(
    nats_server: NatsServer, nats_options: NatsOptions
) -> None:
    """The broker is away, comes back empty and takes nothing, and is mended. Seen failing: only the first cause was told, and each try counted
    the same events again."""
    async with log() as opened:
        await opened.write(10)
        async with relaying(opened, nats_options) as relay:
            await caught_up(relay)
            nats_server.kill()
            incidents: list[str] = []

            async def told() -> None:
                while (failure := (await relay.view()).failure) is None or failure.incident in incidents:
                    await asyncio.sleep(0.02)
                incidents.append(failure.incident)
                assert failure.attempts >= len(incidents)

            async with asyncio.timeout(60):
                await told()
                nats_server.delete_storage()
                nats_server.settings = "max_payload: 1100"
                nats_server.start()
                await told()
                nats_server.kill()
                nats_server.settings = ""
                nats_server.start()
                await until("the relay goes on", lambda: relay.counts.published == 20)
                await caught_up(relay)
            assert 10 == relay.counts.lost
            await assert_whole(opened, nats_server.url)
