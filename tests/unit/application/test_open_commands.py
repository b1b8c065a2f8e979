"""How many commands are open while the store's are counted, and commands come and go."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

from comby.server.application.in_flight import InFlight
from comby.server.application.limits import Limits
from comby.server.application.outcomes import Outcomes
from comby.server.application.pending import Pending
from comby.server.domain.identity import AggregateKey, CommandKey

TENANT = "default"


def coming(in_flight: InFlight, count: int) -> list[Pending]:
    """Have commands come that are not stored yet."""
    nothing = cast(Any, None)
    found = []
    for number in range(count):
        key, aggregate = CommandKey(TENANT, str(number)), AggregateKey(TENANT, "Bank", "1")
        pending = Pending(key=key, aggregate=aggregate, kind=nothing, message=nothing, context=nothing, new=nothing)
        in_flight.open.reserve(TENANT)
        in_flight.add(pending)
        found.append(pending)
    return found


async def test_commands_that_are_not_stored_yet_are_not_among_those_that_the_store_has() -> None:
    """Seen failing: all that are here taken off the store's count."""
    in_flight = InFlight(Outcomes(), Limits())
    commands = coming(in_flight, 10)

    async def counted() -> Mapping[str, int]:
        return {TENANT: 50}

    await in_flight.count(counted, alone=False)
    assert 60 == in_flight.open.total
    for place, pending in enumerate(commands):
        pending.accepted(place + 1)
        in_flight.put_aside(pending)
    assert 60 == in_flight.open.total


async def test_a_count_of_the_past_is_not_taken() -> None:
    """Seen failing: the first count taken, however old."""
    in_flight = InFlight(Outcomes(), Limits())
    commands = coming(in_flight, 10)
    stored = 50

    async def counted() -> Mapping[str, int]:
        nonlocal stored
        found = {TENANT: stored}
        for place, pending in enumerate(commands):
            pending.accepted(place + 1)
            in_flight.put_aside(pending)
        stored += len(commands)
        commands.clear()
        return found

    await in_flight.count(counted, alone=False)
    assert 60 == in_flight.open.total


async def test_an_instance_that_is_alone_knows_better_than_a_count_under_way() -> None:
    """The store has ended commands that are still here: their ends are on their way. Seen failing: such a count taken."""
    in_flight = InFlight(Outcomes(), Limits())
    await in_flight.count(counting({}), alone=True)
    commands = coming(in_flight, 10)
    for place, pending in enumerate(commands):
        pending.accepted(place + 1)
        if place >= 6:
            in_flight.put_aside(pending)

    await in_flight.count(counting({TENANT: 4}), alone=True)
    for pending in commands[:6]:
        in_flight.leave(pending)

    assert 4 == in_flight.open.total


async def test_what_others_have_left_is_found_by_who_is_alone_now() -> None:
    """Seen failing: the count of the shared time kept while commands are in hand."""
    in_flight = InFlight(Outcomes(), Limits())
    await in_flight.count(counting({}), alone=True)
    await in_flight.count(counting({TENANT: 7}), alone=False)
    coming(in_flight, 1)

    await in_flight.count(counting({TENANT: 50}), alone=True)

    assert 51 == in_flight.open.total


def counting(found: Mapping[str, int]) -> Callable[[], Awaitable[Mapping[str, int]]]:
    """Make a store that counts this."""

    async def counted() -> Mapping[str, int]:
        return found

    return counted
