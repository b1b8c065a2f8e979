"""Several instances as one driver: calls go to one or the other, as through a load balancer; and links that need no socket."""

from collections.abc import Collection
from itertools import cycle
from typing import Any, cast

from comby.server import Facade
from comby.server.application.errors import FacadeError
from comby.server.application.requests import CommandRequest, Receipt
from comby.server.ports.peers import Peers, PeerUnreachable
from tests.contract.facade.driver import Driver

ENDING = ("SHUTTING_DOWN", "STORE_UNAVAILABLE")


COMMANDS = frozenset({"typed", "dispatch", "pipeline"})
"""What goes to one instance: only what a caller sends to one has an order."""


class Alternating:
    """Passes commands to one driver, and every other call on to the next one."""

    def __init__(self, drivers: Collection[Driver]) -> None:
        self._first = next(iter(drivers))
        self._next = cycle(drivers)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._first if name in COMMANDS else next(self._next), name)


def alternating(drivers: Collection[Driver]) -> Driver:
    """Return several drivers as one; a single one is returned as it is."""
    return next(iter(drivers)) if len(drivers) == 1 else cast(Driver, Alternating(drivers))


class DirectPeers(Peers[CommandRequest, Receipt]):
    """Reaches facades of the same process by the addresses that they were given."""

    def __init__(self, facades: dict[str, Facade]) -> None:
        self._facades = facades

    async def dispatch(self, address: str, request: CommandRequest) -> Receipt:
        facade = self._facades.get(address)
        if facade is None:
            raise PeerUnreachable
        try:
            return await facade.dispatch_command(request)
        except FacadeError as error:
            if error.reason in ENDING:
                raise PeerUnreachable from None
            raise

    def keep(self, addresses: Collection[str]) -> None:
        """Nothing is kept."""
