"""Subscriptions and finite reads: every matching event once and in order, and always a sign of life."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest

from comby.facade.v1.context_pb2 import LogIdentity
from comby.facade.v1.event_pb2 import Event, SubscribeEventsResponse
from comby.server.application.limits import Limits
from tests.contract.facade.bank_calls import executed, opened, sent
from tests.contract.facade.conftest import Serve, Service
from tests.contract.facade.driver import Driver, Refused, Wanted
from tests.domains.bank.v1.bank_pb2 import Deposit, Misbehave, OpenVault, Withdraw

MIB = 1024 * 1024


@asynccontextmanager
async def subscribed(driver: Driver, wanted: Wanted) -> AsyncIterator[AsyncIterator[SubscribeEventsResponse]]:
    async with aclosing(driver.subscribe(wanted)) as messages:  # type: ignore[type-var]
        yield messages


async def until_caught_up(messages: AsyncIterator[SubscribeEventsResponse]) -> list[Event]:
    """Return the history."""
    events: list[Event] = []
    async for message in messages:
        events += message.events.events
        if message.HasField("caught_up"):
            return events
    raise AssertionError("the stream ended before it had caught up")


async def next_events(messages: AsyncIterator[SubscribeEventsResponse], count: int) -> list[Event]:
    events: list[Event] = []
    while len(events) < count:
        events += (await anext(messages)).events.events
    return events


def positions(events: Sequence[Event]) -> list[int]:
    return [event.position for event in events]


async def test_history_and_then_what_happens(service: Service) -> None:
    account_id = await opened(service.driver, balance=5)
    async with subscribed(service.driver, Wanted()) as messages:
        confirmed = (await anext(messages)).confirmed
        history = await until_caught_up(messages)
        receipt = await executed(service.driver, Deposit(account_id=account_id, amount=1))
        (event,) = await next_events(messages, 1)

    assert (2, 0) == (confirmed.head, confirmed.after)
    assert "" not in (confirmed.subscription_id, confirmed.log.log_id, confirmed.log.incarnation)
    assert [1, 2] == positions(history)
    assert (3, account_id, 3, "Bank.Deposited", "Bank") == (
        event.position,
        event.aggregate_id,
        event.version,
        event.type,
        event.domain,
    )
    assert (receipt.event_ids, receipt.request_id) == ((event.event_id,), event.request_id)
    assert event.plain.type_url.endswith("/tests.domains.bank.v1.Deposited")
    assert event.recorded_at.ToMicroseconds() >= history[-1].recorded_at.ToMicroseconds() > 0


async def test_subscriptions_at_any_moment_miss_nothing_and_double_nothing(service: Service) -> None:
    driver, chance, last = service.driver, random.Random(11), 200
    account_id = await opened(driver)

    async def write() -> None:
        await driver.pipeline([sent(Deposit(account_id=account_id, amount=1)) for _ in range(last - 1)])

    async def follow() -> None:
        for _ in range(chance.randrange(300)):
            await asyncio.sleep(0)
        after = chance.randrange(2)
        caught_up = False
        async with subscribed(driver, Wanted(start=("after", after))) as messages:
            seen: list[int] = []
            async for message in messages:
                seen += positions(message.events.events)
                caught_up |= message.HasField("caught_up")
                if seen and seen[-1] == last and caught_up:
                    break
        assert list(range(after + 1, last + 1)) == seen

    await asyncio.gather(write(), *(follow() for _ in range(25)))


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"types": ["Bank.Deposited"]}, [2, 5, 7]),
        ({"types": ["Bank.Withdrawn", "Bank.VaultOpened"]}, [3, 4]),
        ({"domains": ["Bank"]}, [1, 2, 3, 4, 5, 7]),
        ({"domains": ["Bank"], "aggregate_id": "first"}, [1, 2, 3, 5, 7]),
        ({"all_tenants": True}, [1, 2, 3, 4, 5, 6, 7]),
        ({"tenant": "other"}, [6]),
        ({"tenant": "nobody"}, []),
        ({"tenant": "other", "domains": ["Bank"], "aggregate_id": "first"}, []),
    ],
    ids=["type", "types", "domain", "aggregate", "all tenants", "tenant", "empty tenant", "foreign aggregate"],
)
async def test_filters(service: Service, selection: dict[str, object], expected: list[int]) -> None:
    driver = service.driver
    first = await opened(driver, balance=5)
    await executed(driver, Withdraw(account_id=first, amount=1))
    await executed(driver, OpenVault())
    await executed(driver, Deposit(account_id=first, amount=1))
    await opened(driver, tenant="other")
    if "aggregate_id" in selection:
        selection = {**selection, "aggregate_id": first.upper()}
    wanted = Wanted(heartbeat=0.1, **selection)  # type: ignore[arg-type]

    async with subscribed(driver, wanted) as messages:
        seen = positions(await until_caught_up(messages))
        assert [one for one in expected if one < 7] == seen
        await executed(driver, Deposit(account_id=first, amount=1))
        async for message in messages:  # the checkpoint moves over what is filtered out
            seen += positions(message.events.events)
            if message.checkpoint.position == 7:
                break

    assert expected == seen
    assert expected == positions(await driver.read(wanted))


async def test_where_a_subscription_starts(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    tokens = [(await executed(driver, Deposit(account_id=account_id, amount=1))).token for _ in range(5)]
    events = await driver.read(Wanted())

    async def history(start: tuple[str, int | str | bool]) -> list[int]:
        async with subscribed(driver, Wanted(start=start)) as messages:
            return positions(await until_caught_up(messages))

    assert [5, 6] == await history(("after", 4))
    assert [] == await history(("after", 6))
    assert [4, 5, 6] == await history(("after_token", tokens[1]))
    assert [] == await history(("from_head", True))
    times = [event.recorded_at.ToMicroseconds() for event in events]
    for time in (times[2], times[2] + 1, 0, 2**52):
        assert [n + 1 for n, one in enumerate(times) if one >= time] == await history(("from_time", time))


async def test_from_the_head_begins_after_what_the_caller_has_done(service: Service) -> None:
    account_id = await opened(service.driver)
    for _ in range(50):
        receipt = await executed(service.driver, Deposit(account_id=account_id, amount=1))
        async with subscribed(service.driver, Wanted(start=("from_head", True))) as messages:
            confirmed = (await anext(messages)).confirmed
            assert receipt.version == confirmed.after == confirmed.head
            assert [] == await until_caught_up(messages)


async def test_what_can_not_be_subscribed_to(service: Service) -> None:
    driver = service.driver
    token = (await executed(driver, OpenVault())).token
    async with subscribed(driver, Wanted()) as messages:
        log = (await anext(messages)).confirmed.log
    refusals = {
        "POSITION_BEYOND_HEAD": [Wanted(start=("after", 2)), Wanted(start=("after_token", token[:16] + "2"))],
        "LOG_REPLACED": [
            Wanted(log=LogIdentity(log_id=log.log_id, incarnation="another")),
            Wanted(start=("after_token", "A" * 16 + "1")),
        ],
        "INVALID_TOKEN": [Wanted(start=("after_token", "rubbish"))],
        "UNKNOWN_TYPE": [Wanted(types=["Bank.Nothing"]), Wanted(domains=["Nothing"])],
    }

    for reason, all_wanted in refusals.items():
        for wanted in all_wanted:
            with pytest.raises(Refused, match=reason):
                await anext(driver.subscribe(wanted))
    async with subscribed(driver, Wanted(log=log, start=("after", 1))) as messages:
        assert 1 == (await anext(messages)).confirmed.after


async def test_a_sign_of_life_where_nothing_happens(service: Service) -> None:
    await opened(service.driver)
    async with subscribed(service.driver, Wanted(heartbeat=0.1)) as messages:
        await until_caught_up(messages)
        assert [1, 1] == [(await anext(messages)).checkpoint.position for _ in range(2)]


async def test_the_stop_says_goodbye_where_to_go_on(serve: Serve) -> None:
    async with serve() as service:
        await opened(service.driver)
        async with subscribed(service.driver, Wanted()) as messages:
            await until_caught_up(messages)
            service.facade.begin_stop()
            goodbye = (await anext(messages)).goodbye
            with pytest.raises(StopAsyncIteration):
                await anext(messages)

    assert ("SHUTTING_DOWN", 1) == (goodbye.reason, goodbye.resume_after)


async def test_a_slow_reader_loses_nothing_and_a_batch_has_a_limit(serve: Serve) -> None:
    """The tail is tiny, so the reader falls back to the store. A batch ends with the event that reaches the limit."""
    async with serve(limits=Limits(tail_events=4, tail_bytes=2 * MIB, batch_bytes=MIB)) as service:
        driver = service.driver
        account_id = await opened(driver)
        async with subscribed(driver, Wanted(types=["Bank.Noted"])) as slow:
            await until_caught_up(slow)
            for _ in range(12):
                await executed(driver, Misbehave(account_id=account_id, how="large", count=300_000))
            seen: list[int] = []
            while len(seen) < 12:
                message = await anext(slow)
                assert message.ByteSize() < MIB + 310_000
                seen += positions(message.events.events)

    assert list(range(2, 14)) == seen


async def test_many_small_events_keep_within_the_limit_of_a_batch(serve: Serve) -> None:
    async with serve(limits=Limits(batch_bytes=4_000, batch_events=1_000)) as service:
        account_id = await opened(service.driver)
        await executed(service.driver, Misbehave(account_id=account_id, how="many", count=200))
        async with subscribed(service.driver, Wanted()) as messages:
            seen: list[int] = []
            async for message in messages:
                assert message.ByteSize() < 4_000 + 400
                seen += positions(message.events.events)
                if message.HasField("caught_up"):
                    break

    assert list(range(1, 202)) == seen


async def test_reads_both_ways_with_limits(service: Service) -> None:
    driver = service.driver
    account_id = await opened(driver)
    await executed(driver, Misbehave(account_id=account_id, how="many", count=300))
    for _ in range(4):
        await executed(driver, Deposit(account_id=account_id, amount=1))
    only = Wanted(types=["Bank.Deposited"])

    assert list(range(1, 306)) == positions(await driver.read(Wanted()))
    assert list(range(305, 0, -1)) == positions(await driver.read(Wanted(), backwards=True))
    assert [302, 303] == positions(await driver.read(only, limit=2))
    assert [305, 304] == positions(await driver.read(only, limit=2, backwards=True))
    assert [304, 305] == positions(await driver.read(only, after=303))
    assert [303, 302] == positions(await driver.read(only, after=304, backwards=True))
    assert [2, 1] == positions(await driver.read(Wanted(), after=3, backwards=True))
    assert [] == list(await driver.read(Wanted(), after=305))
    assert list(range(1, 301)) == positions(await driver.read(Wanted(), limit=300))
    with pytest.raises(Refused, match="POSITION_BEYOND_HEAD"):
        await driver.read(Wanted(), after=306)
    assert [] == list(await driver.read(Wanted(tenant="other")))
