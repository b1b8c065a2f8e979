"""How the holdings of a log are shared among its instances: what one of them should take, and what it should give back.

Every instance decides for itself from the same rows, so nobody has to lead: each takes what is free up to its share, and gives back what
is above it once somebody else is below theirs.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from comby.server.ports.instance_store import Holding, Instance, Membership

ORPHANED = 3
"""Rounds after which a holding that nobody took is taken above one's share: instances of another version may not know it."""


@dataclass(frozen=True, slots=True)
class Moves:
    """What to take, and what to give back."""

    take: frozenset[Holding]
    give: frozenset[Holding]


def moves(
    membership: Membership,
    instance_id: str,
    *,
    held: Collection[Holding],
    known: Collection[Holding],
    free_rounds: Mapping[Holding, int],
) -> Moves:
    """Return the moves of one instance; `known` is what it could own, `free_rounds` since how many rounds a holding has been free."""
    live = sorted(one.instance_id for one in membership.instances if _can_own(one))
    if instance_id not in live:
        return Moves(frozenset(), frozenset(held))
    take: set[Holding] = set()
    give: set[Holding] = set()
    for kind in (int, str):
        own = sorted(one for one in held if isinstance(one, kind))
        all_of_kind = [one for one in membership.holdings if isinstance(one, kind)]
        rank = live.index(instance_id) if kind is int else len(live) - 1 - live.index(instance_id)
        share = _share(len(all_of_kind), len(live), rank)
        free = sorted(one for one in all_of_kind if one in known and is_free(membership, one))
        take.update(free[: max(0, share - len(own))])
        take.update(one for one in free if free_rounds.get(one, 0) >= ORPHANED)
        if len(own) > share:
            give.update(own[share:])
    return Moves(frozenset(take), frozenset(give))


def is_free(membership: Membership, holding: Holding) -> bool:
    """Tell whether a holding has no owner that is live."""
    owner = membership.holdings[holding].owner
    return owner is None or not any(one.live and one.instance_id == owner for one in membership.instances)


def _can_own(instance: Instance) -> bool:
    return instance.live and instance.eligible


def _share(count: int, instances: int, rank: int) -> int:
    """Return how many of `count` holdings the instance of a rank should own: the first ones own one more, where it does not divide."""
    return count // instances + (rank < count % instances)
