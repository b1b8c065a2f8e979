"""Ownership among several instances: beats, takes what is free, gives back what is too much, and notices what is lost."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace

import structlog

from comby.server.application import incidents
from comby.server.application.admission import PARTITIONS
from comby.server.application.limits import Limits
from comby.server.application.ownership import Ownership
from comby.server.application.shares import is_free, moves
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.event_store import Fence
from comby.server.ports.instance_store import Holding, InstanceStore, Membership

_log = structlog.get_logger("comby.ownership")
OWN = "#"
"""Between a name that two instances have and what tells this one apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThisInstance:
    """How this process presents itself to the others; see ports.instance_store.Instance."""

    instance_id: str
    name: str
    address: str
    eligible: bool
    version: str


@dataclass(slots=True, kw_only=True)
class Handover:
    """Who is told that holdings come and go.

    `taken` may begin at once. `lost` ends at once: somebody else may own them already. `leaving` ends in order, before they are given back.
    `released` tells the others, and `seen` is told who is there, every round.
    """

    taken: Callable[[Collection[Holding]], None]
    lost: Callable[[Collection[Holding]], None]
    leaving: Callable[[Collection[Holding]], Awaitable[None]]
    released: Callable[[], None]
    seen: Callable[[Membership], None]


async def _nothing(holdings: Collection[Holding]) -> None:
    """Leave nothing."""


NOBODY = Handover(
    taken=lambda taken: None, lost=lambda lost: None, leaving=_nothing, released=lambda: None, seen=lambda seen: None
)
"""Nobody has to be told yet."""


class SharedOwnership(Ownership):
    """Run `run` as a task, between `join` and `leave`."""

    def __init__(self, instances: InstanceStore, this: ThisInstance, limits: Limits, duties: Collection[str]) -> None:
        self.this = this
        self._instances = instances
        self._limits = limits
        self._handover = NOBODY
        self._duties = sorted(duties)
        self._known: frozenset[Holding] = frozenset([*range(PARTITIONS), *duties])
        self._held: dict[Holding, int] = {}
        self._leaving: dict[Holding, int] = {}
        self._suspicions: dict[Holding, float] = {}
        self._free_rounds: dict[Holding, int] = {}
        self._membership = Membership((), {})
        self._beaten = float("-inf")
        self._woken = asyncio.Event()
        self._giving: asyncio.Task[None] | None = None
        self._given_at = float("-inf")
        self._turn = asyncio.Lock()
        self._left = False

    @property
    def partitions(self) -> frozenset[int] | None:
        return frozenset(one for one in self._held if isinstance(one, int)) if self._fresh() else frozenset()

    def owns(self, partition: int) -> bool:
        return partition in self._held and self._fresh()

    def owns_duty(self, duty: str) -> bool:
        return duty in self._held

    def fence(self, partition: int) -> Fence | None:
        return Fence(partition, self._held.get(partition, 0))

    def address_of(self, partition: int) -> str:
        ownership = self._membership.holdings.get(partition)
        if ownership is None or ownership.owner in (None, self.this.instance_id):
            return ""
        for one in self._membership.instances:
            if one.instance_id == ownership.owner:
                return one.address if one.live and one.address != self.this.address else ""
        return ""

    def suspicious(self, partition: int) -> bool:
        until = self._suspicions.get(partition)
        return until is not None and asyncio.get_running_loop().time() < until

    @property
    def membership(self) -> Membership:
        return self._membership

    @property
    def alone(self) -> bool:
        """Tell whether no other instance is there, as last read."""
        return self._fresh() and self._membership.alone(self.this.instance_id)

    def wake(self) -> None:
        """Look at once: somebody has given something back."""
        self._woken.set()

    async def join(self, handover: Handover) -> None:
        """Register, and take a first share. Raises StoreUnavailable."""
        self._handover = handover
        await self._register()
        await self._round()

    async def run(self) -> None:
        """Beat until cancelled."""
        away = False
        while True:
            self._woken.clear()
            try:
                async with asyncio.timeout(self._limits.heartbeat * random.uniform(0.9, 1.1)):
                    await self._woken.wait()
            except TimeoutError:
                pass
            try:
                async with asyncio.timeout(self._limits.lease):
                    await self._round()
                away = False
            except (StoreUnavailable, TimeoutError):
                if not away:
                    _log.warning("no heartbeat: the store is away")
                away = True
            except Exception as error:
                incidents.report("ownership failed", error)

    async def leave(self) -> None:
        """Give everything back; what it served must have ended."""
        if self._giving is not None:
            await asyncio.gather(self._giving, return_exceptions=True)
        async with self._turn:
            self._left = True
            self._held.clear()
        try:
            await self._instances.leave(self.this.instance_id)
        except StoreUnavailable:
            return
        self._handover.released()

    def _fresh(self) -> bool:
        """Tell whether the last heartbeat is so young that nobody else can have taken anything."""
        return asyncio.get_running_loop().time() - self._beaten < self._limits.lease

    async def _register(self) -> None:
        this = self.this
        await self._instances.join(
            this.instance_id,
            name=this.name,
            address=this.address,
            eligible=this.eligible,
            version=this.version,
            partitions=PARTITIONS,
            duties=self._duties,
        )

    def _take_own_name(self) -> None:
        """Tell this instance from another one of its name, which took it for one that has ended, and forgot it: else each would forget the other."""
        this = self.this
        if OWN not in this.name:
            self.this = replace(this, name=f"{this.name}{OWN}{this.instance_id}")
        _log.warning(
            "this instance was forgotten: another one of its name has joined, or it was silent for a day",
            name=self.this.name,
        )

    async def _round(self) -> None:
        async with self._turn:
            if not self._left:
                await self._beat()

    async def _beat(self) -> None:
        began = asyncio.get_running_loop().time()
        membership = await self._instances.beat(self.this.instance_id, lease=self._limits.lease)
        self._membership = membership
        self._handover.seen(membership)  # before anything is awaited: who owns what is asked for each command
        if not any(one.instance_id == self.this.instance_id for one in membership.instances):
            self._lose(list(self._held))
            self._take_own_name()
            await self._register()
            self._woken.set()
            return
        self._beaten = began
        self._reconcile(membership, began)
        self._free_rounds = {
            one: self._free_rounds.get(one, 0) + 1 for one in membership.holdings if is_free(membership, one)
        }
        planned = moves(
            membership,
            self.this.instance_id,
            held=[*self._held, *self._leaving],
            known=self._known,
            free_rounds=self._free_rounds,
        )
        if planned.take:
            taken = await self._instances.take(self.this.instance_id, planned.take, lease=self._limits.lease)
            self._adopt(
                {one: found.epoch for one, found in taken.items()},
                unclean={one for one, found in taken.items() if found.unclean},
            )
        surplus = [one for one in planned.give if one in self._held]
        if surplus and (self._giving is None or self._giving.done()):
            self._giving = asyncio.get_running_loop().create_task(self._give_back(surplus))

    def _reconcile(self, membership: Membership, read_at: float) -> None:
        """Lose what has another owner, and adopt what is owned here although the answer to taking it was lost."""
        own = {
            one: ownership.epoch
            for one, ownership in membership.holdings.items()
            if ownership.owner == self.this.instance_id
        }
        self._lose([one for one, epoch in self._held.items() if own.get(one) != epoch])
        if self._given_at >= read_at:  # what was given back meanwhile may be told as our own
            return
        missing = {one: epoch for one, epoch in own.items() if one not in self._held and one not in self._leaving}
        self._adopt(missing, unclean=set(missing))

    def _adopt(self, epochs: Mapping[Holding, int], *, unclean: Collection[Holding]) -> None:
        if not epochs:
            return
        until = asyncio.get_running_loop().time() + self._limits.suspicion
        self._held.update(epochs)
        self._suspicions.update(dict.fromkeys(unclean, until))
        _log.info("holdings taken", count=len(epochs), held=len(self._held), unclean=len(unclean))
        self._handover.taken(list(epochs))

    def _lose(self, holdings: Collection[Holding]) -> None:
        if not holdings:
            return
        for one in holdings:
            self._held.pop(one, None)
        _log.warning("holdings lost", count=len(holdings), held=len(self._held))
        self._handover.lost(holdings)

    async def _give_back(self, holdings: Collection[Holding]) -> None:
        leaving = {one: self._held.pop(one) for one in holdings}
        self._leaving.update(leaving)
        try:
            await self._handover.leaving(holdings)
            await self._instances.release(self.this.instance_id, leaving)
            _log.info("holdings given back", count=len(leaving), held=len(self._held))
        except StoreUnavailable:
            _log.warning("holdings could not be given back", count=len(leaving))
        finally:
            self._given_at = asyncio.get_running_loop().time()
            for one in leaving:
                self._leaving.pop(one, None)
        self._handover.released()
