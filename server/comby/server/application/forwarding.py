"""Forwarding: hands commands to the instance that executes them, in the order in which they came; and stores them for it to claim while it
can not be reached."""

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace

from comby.server.application.acceptance import Acceptance
from comby.server.application.errors import FacadeError
from comby.server.application.executor import Settlement
from comby.server.application.in_flight import InFlight
from comby.server.application.limits import Limits
from comby.server.application.ownership import Ownership
from comby.server.application.pending import Pending
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.identity import AggregateKey
from comby.server.ports.peers import PeerUnreachable

ANSWER_MARGIN = 0.05
"""Seconds of a wait, but at most a quarter of it, that are kept for the way of the owner's answer."""
Dispatch = Callable[[str, CommandRequest], Awaitable[Receipt]]
"""Has a command dispatched by the instance at an address; see Peers.dispatch."""


class Forwarding:
    """Sends commands to their owners; `tell_end` is told the owner's answer."""

    def __init__(
        self,
        in_flight: InFlight,
        acceptance: Acceptance,
        ownership: Ownership,
        dispatch: Dispatch,
        spawn: Callable[[Coroutine[None, None, None]], None],
        tell_end: Callable[[Pending, Settlement], None],
        limits: Limits,
    ) -> None:
        self._in_flight = in_flight
        self._acceptance = acceptance
        self._ownership = ownership
        self._dispatch = dispatch
        self._spawn = spawn
        self._tell_end = tell_end
        self._limits = limits
        self._sent: dict[AggregateKey, list[Pending]] = {}
        """What waits for the answer of an owner, by aggregate and in the order in which it came."""

    def send_to_owner(self, pending: Pending, request: CommandRequest) -> None:
        """Forward a command to the instance that owns it; store it where nobody does, where it was forwarded already, and behind others of its
        aggregate that are being stored here."""
        address = self._ownership.address_of(pending.new.partition)
        if request.forwarded or not address or self._acceptance.storing(pending.aggregate):
            self._acceptance.accept(pending)
        else:
            pending.forwarded = address
            self._sent.setdefault(pending.aggregate, []).append(pending)
            self._in_flight.forwarded += 1
            self._spawn(self._forward(pending, request, address))

    def store(self, pending: Pending) -> None:
        """Wait for the owner no longer: store the command, and all of its aggregate that wait for one, in their order. They are the same ones where
        the store has them already."""
        for one in self._sent.pop(pending.aggregate, ()):
            one.forwarded = ""
            self._in_flight.forwarded -= 1
            self._acceptance.accept(one)

    def reroute(self) -> None:
        """Store the commands that were forwarded to an instance that does not own them any more: the present owner finds them."""
        for first, *_ in list(self._sent.values()):
            if self._ownership.address_of(first.new.partition) != first.forwarded:
                self.store(first)

    async def _forward(self, pending: Pending, request: CommandRequest, address: str) -> None:
        try:
            receipt = await self._dispatch(address, self._forwarded(pending, request))
        except PeerUnreachable:
            if pending.forwarded and self._in_flight.has(pending):
                self.store(pending)
        except FacadeError as error:
            self._settle(pending, Settlement(error=error))
        else:
            self._settle(pending, Settlement(receipt))

    def _forwarded(self, pending: Pending, request: CommandRequest) -> CommandRequest:
        """Return what the owner is asked: to end the wait a little sooner, so that its answer is here in time."""
        longest = self._limits.longest_wait
        wait = longest if request.wait_timeout is None else min(request.wait_timeout, longest)
        wait -= min(ANSWER_MARGIN, wait / 4)
        return replace(request, request_id=pending.key.request_id, wait_timeout=wait, forwarded=True)

    def _settle(self, pending: Pending, settlement: Settlement) -> None:
        """Settle what the owner answered, unless the command is stored from here meanwhile: then the store tells its end."""
        if not (pending.forwarded and self._in_flight.has(pending)):
            return
        pending.forwarded = ""
        self._in_flight.forwarded -= 1
        sent = self._sent[pending.aggregate]
        sent.remove(pending)
        if not sent:
            del self._sent[pending.aggregate]
        self._in_flight.leave(pending)
        if settlement.receipt is not None and settlement.receipt.stage is Stage.ACCEPTED:
            self._in_flight.open.reopen(pending.key.tenant_id)
        self._tell_end(pending, settlement)
