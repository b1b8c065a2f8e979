"""How holdings are shared: everything is owned by somebody, nobody owns much more than the others, and nothing moves without need."""

import random
from collections.abc import Mapping

import pytest

from comby.server.application.shares import ORPHANED, Moves, moves
from comby.server.ports.instance_store import Holding, Instance, Membership, Ownership

PARTITIONS = 128
DUTIES = ("projection:a", "projection:b", "reactor:c", "relay")


def instance(name: str, *, live: bool = True, eligible: bool = True) -> Instance:
    return Instance(
        instance_id=name,
        name=name,
        address="",
        eligible=eligible,
        version="1",
        started_at=0,
        heartbeat_at=0,
        live=live,
    )


class Cluster:
    """Rows as a store has them, moved by what `moves` says."""

    def __init__(self) -> None:
        self.instances: dict[str, Instance] = {}
        self.owners: dict[Holding, str | None] = dict.fromkeys([*range(PARTITIONS), *DUTIES])
        self.moved = 0

    def held(self, name: str) -> list[Holding]:
        return [one for one, owner in self.owners.items() if owner == name]

    def planned(self, name: str, free_rounds: Mapping[Holding, int] | None = None) -> Moves:
        membership = Membership(
            list(self.instances.values()), {one: Ownership(owner, 1) for one, owner in self.owners.items()}
        )
        return moves(membership, name, held=self.held(name), known=list(self.owners), free_rounds=free_rounds or {})

    def settle(self, chance: random.Random) -> None:
        for _ in range(6):
            names = [one.instance_id for one in self.instances.values() if one.live]
            chance.shuffle(names)
            for name in names:
                planned = self.planned(name)
                for one in planned.give:
                    self.owners[one] = None
                for one in planned.take:
                    owner = self.owners[one]
                    assert owner is None or not self.instances[owner].live
                    self.owners[one] = name
                self.moved += len(planned.give) + len(planned.take)


@pytest.mark.parametrize("seed", range(20))
def test_whoever_comes_and_goes_everything_is_owned_in_fair_shares(seed: int) -> None:
    chance = random.Random(seed)
    cluster = Cluster()
    for step in range(12):
        if chance.random() < 0.6 or not any(one.live for one in cluster.instances.values()):
            cluster.instances[f"i{step}"] = instance(f"i{step}")
        else:
            name = chance.choice([one.instance_id for one in cluster.instances.values() if one.live])
            cluster.instances[name] = instance(name, live=False)
        cluster.settle(chance)
        live = [one.instance_id for one in cluster.instances.values() if one.live]
        if not live:
            continue
        counts = [len([one for one in cluster.held(name) if isinstance(one, int)]) for name in live]
        assert PARTITIONS == sum(counts)
        assert max(counts) - min(counts) <= 1
        assert len(DUTIES) == sum(len([one for one in cluster.held(name) if isinstance(one, str)]) for name in live)
        before = cluster.moved
        cluster.settle(chance)
        assert before == cluster.moved


def test_the_second_instance_gets_half_and_nothing_else_moves() -> None:
    cluster = Cluster()
    cluster.instances["a"] = instance("a")
    cluster.settle(random.Random(0))
    cluster.instances["b"] = instance("b")
    before = cluster.moved
    cluster.settle(random.Random(0))
    partitions, duties = PARTITIONS // 2, len(DUTIES) // 2
    assert 2 * (partitions + duties) == cluster.moved - before  # each given once and taken once


def test_one_that_only_reads_owns_nothing() -> None:
    cluster = Cluster()
    cluster.instances["reader"] = instance("reader", eligible=False)
    assert Moves(frozenset(), frozenset()) == cluster.planned("reader")
    cluster.owners[5] = "reader"
    assert Moves(frozenset(), frozenset([5])) == cluster.planned("reader")


def test_what_nobody_takes_is_taken_above_the_share() -> None:
    cluster = Cluster()
    cluster.instances |= {"a": instance("a"), "b": instance("b")}
    cluster.owners.update(dict.fromkeys(range(64), "a"))
    cluster.owners.update(dict.fromkeys(range(64, 128), "b"))
    cluster.owners[127] = None
    assert 127 not in cluster.planned("a").take
    assert 127 in cluster.planned("a", {127: ORPHANED}).take
