"""The order in which the commands of an aggregate stand in its lane."""

from itertools import permutations
from typing import Any, cast

import pytest

from comby.server.application.lanes import Lane
from comby.server.application.pending import Pending
from comby.server.domain.identity import AggregateKey, CommandKey


def accepted(accept_seq: int) -> Pending:
    pending = transient()
    pending.accepted(accept_seq)
    return pending


def transient() -> Pending:
    nothing = cast(Any, None)
    key, aggregate = CommandKey("default", "1"), AggregateKey("default", "Bank", "2")
    return Pending(key=key, aggregate=aggregate, kind=nothing, message=nothing, context=nothing, new=nothing)


@pytest.mark.parametrize("order", list(permutations((1, 2, 3, 4))))
def test_stored_commands_stand_in_the_order_of_acceptance(order: tuple[int, ...]) -> None:
    """However they came here. Seen failing: each at the tail."""
    lane = Lane()
    for accept_seq in order:
        lane.put(accepted(accept_seq))
    assert [1, 2, 3, 4] == [pending.accept_seq for pending in lane.queue]
    assert 4 == lane.durable


def test_commands_that_are_not_stored_stay_behind_in_the_order_in_which_they_came() -> None:
    lane = Lane()
    first, second = transient(), transient()
    lane.put(first)
    lane.put(accepted(7))
    lane.put(second)
    lane.put(accepted(5))
    assert [5, 7] == [pending.accept_seq for pending in lane.queue][:2]
    assert [first, second] == list(lane.queue)[2:]
    assert 2 == lane.durable
