"""One instance among several: what it tells the others and hears of them, and what follows when ownership changes.

A process that has the log for itself does without all of this.
"""

import asyncio
from collections.abc import Collection, Coroutine
from dataclasses import dataclass

from comby.server.application.claims import Claims
from comby.server.application.command_bus import CommandBus
from comby.server.application.duties import Duties
from comby.server.application.event_bus import EventBus
from comby.server.application.lanes import Lanes
from comby.server.application.projections import Projections
from comby.server.application.remote_ends import RemoteEnds
from comby.server.application.repository import Repository
from comby.server.application.requests import CommandRequest, Receipt
from comby.server.application.shared_ownership import Handover, SharedOwnership
from comby.server.ports.broker import Announcement, Broker
from comby.server.ports.command_store import CommandStore
from comby.server.ports.errors import StoreUnavailable
from comby.server.ports.instance_store import Holding, Membership
from comby.server.ports.peers import Peers, PeerUnreachable

COUNT_SECONDS = 1.0
"""How often the open commands of all instances are counted."""
LEAVING_SECONDS = 5.0
"""How long running commands may take until their partition is given back all the same: its fence keeps them from doing harm."""


class Announcements:
    """What is to be told to the others; several commits may become one announcement."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._next: Announcement | None = None
        self._more = asyncio.Event()

    def tell(self, announcement: Announcement) -> None:
        """Tell soon."""
        before = self._next
        if before is not None:
            announcement = Announcement(
                head=max(before.head, announcement.head),
                opened=before.opened | announcement.opened,
                ended=before.ended or announcement.ended,
                released=before.released or announcement.released,
            )
        self._next = announcement
        self._more.set()

    async def flush(self) -> None:
        """Tell what is to be told now."""
        announcement, self._next = self._next, None
        if announcement is not None:
            await self._broker.announce(announcement)

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            await self._more.wait()
            self._more.clear()
            await self.flush()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """What makes a facade one instance among several."""

    ownership: SharedOwnership
    announcements: Announcements
    broker: Broker
    peers: Peers[CommandRequest, Receipt]


async def alone(address: str, request: CommandRequest) -> Receipt:
    """Forward to nobody: there are no other instances."""
    raise PeerUnreachable


class InstanceLife:
    """Runs what an instance among several needs besides, between `begin` and `end`."""

    def __init__(
        self,
        *,
        clustering: Clustering,
        bus: EventBus,
        commands: CommandBus,
        store: CommandStore,
        claims: Claims,
        lanes: Lanes,
        repository: Repository,
        ends: RemoteEnds,
        duties: Duties,
        projections: Projections,
    ) -> None:
        self._ownership = clustering.ownership
        self._announcements = clustering.announcements
        self._broker = clustering.broker
        self._peers = clustering.peers
        self._bus = bus
        self._commands = commands
        self._store = store
        self._claims = claims
        self._lanes = lanes
        self._repository = repository
        self._ends = ends
        self._duties = duties
        self._projections = projections

    async def begin(self) -> None:
        """Register, and take a first share. Raises StoreUnavailable."""
        await self._ownership.join(
            Handover(
                taken=self._taken, lost=self._lost, leaving=self._leaving, released=self._released, seen=self._seen
            )
        )
        await self._duties.reconcile()

    async def end(self) -> None:
        """Give everything back, and tell the others."""
        await self._ownership.leave()
        await self._announcements.flush()

    def tasks(self) -> dict[str, Coroutine[None, None, None]]:
        """Return the endless parts by name."""
        return {
            "ownership": self._ownership.run(),
            "announcements": self._announcements.run(),
            "wake-ups": self._listen(),
            "ends": self._ends.run(),
            "duties": self._duties.run(),
            "open commands": self._count(),
            "checkpoints": self._projections.keep_up(),
        }

    def _taken(self, holdings: Collection[Holding]) -> None:
        self._claims.want()
        self._duties.wake()

    def _lost(self, holdings: Collection[Holding]) -> None:
        self._commands.lose(_partitions(holdings))
        self._repository.forget_others()
        self._duties.wake()

    async def _leaving(self, holdings: Collection[Holding]) -> None:
        partitions = _partitions(holdings)
        self._commands.lose(partitions)
        try:
            async with asyncio.timeout(LEAVING_SECONDS):
                await self._lanes.drained_of(partitions)
                await self._duties.reconcile()
        except TimeoutError:
            pass
        self._repository.forget_others()

    def _released(self) -> None:
        self._announcements.tell(Announcement(head=self._bus.position, released=True))

    def _seen(self, membership: Membership) -> None:
        self._peers.keep({one.address for one in membership.instances if one.live})
        self._commands.forwarding.reroute()

    async def _listen(self) -> None:
        async for announcement in self._broker.announcements():
            self._bus.hear(announcement.head)
            partitions = self._ownership.partitions
            if partitions is not None and announcement.opened & partitions:
                self._claims.want()
            if announcement.ended:
                self._ends.look()
            if announcement.released:
                self._ownership.wake()

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            try:
                await self._commands.in_flight.count(self._store.count_open, alone=self._ownership.alone)
            except StoreUnavailable:
                continue
            self._claims.want()  # an announcement may have been lost


def _partitions(holdings: Collection[Holding]) -> frozenset[int]:
    return frozenset(one for one in holdings if isinstance(one, int))
