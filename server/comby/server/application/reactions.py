"""One event in a reactor's hands: what the reactor may use, and the commands that follow, each of which takes effect
once."""

from typing import Any
from uuid import UUID, uuid5

from google.protobuf.message import Message

from comby.server.application.command_bus import CommandBus
from comby.server.application.command_records import CommandRecords
from comby.server.application.contract import aggregate_id_field, descriptor_of
from comby.server.application.errors import RequestIdReused
from comby.server.application.requests import CommandRequest, Receipt, Stage
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import CommandKey
from comby.server.domain.reactor import (
    CommandUnfinished,
    Outcome,
    Reactor,
    ReplayRefused,
)
from comby.server.domain.recorded import Recorded


class Reaction:
    """The ReactionContext of one event and one attempt."""

    def __init__(
        self,
        reactor: Reactor,
        recorded: Recorded[Any],
        attempt: int,
        replay: bool,
        bus: CommandBus,
        records: CommandRecords,
    ) -> None:
        self._reactor = reactor
        self._recorded = recorded
        self._attempt = attempt
        self._replay = replay
        self._bus = bus
        self._records = records

    @property
    def attempt(self) -> int:
        """Count the tries of this event, from 1."""
        return self._attempt

    @property
    def replay(self) -> bool:
        """Tell whether the event is older than the reactor."""
        return self._replay

    async def dispatch(self, command: Message, *, key: str = "") -> Outcome:
        """Dispatch a command and wait for its end; see ReactionContext."""
        if self._replay and not self._reactor.dispatch_on_replay:
            raise ReplayRefused
        field = aggregate_id_field(descriptor_of(type(command)))
        target = getattr(command, field.name) if field is not None else ""
        name = f"{self._reactor.name}/{command.DESCRIPTOR.full_name}/{target}/{key}"
        request_id = str(uuid5(UUID(self._recorded.event_id), name))
        context = RequestContext(
            tenant_id=self._recorded.key.tenant_id,
            actor_id=f"reactor:{self._reactor.name}",
            correlation_id=self._recorded.context.correlation_id,
            causation_id=self._recorded.event_id,
            traceparent=self._recorded.context.traceparent,
        )
        request = CommandRequest(
            type=command.DESCRIPTOR.full_name,
            payload=command.SerializeToString(deterministic=True),
            context=context,
            request_id=request_id,
            wait=Stage.EXECUTED,
        )
        return _outcome(await self._end_of(request))

    async def _end_of(self, request: CommandRequest) -> Receipt:
        try:
            receipt = await self._bus.dispatch(request)
        except RequestIdReused:  # an earlier run of this reaction sent the command in other words: it counts
            key = CommandKey(request.context.tenant_id, request.request_id)
            receipt = (await self._records.get(key)).receipt
        while receipt.stage is Stage.ACCEPTED:
            receipt = await self._records.wait(request.context, request.request_id, Stage.EXECUTED, None)
        return receipt


def _outcome(receipt: Receipt) -> Outcome:
    if receipt.stage in (Stage.PARKED, Stage.CANCELLED):
        raise CommandUnfinished
    return Outcome(
        request_id=receipt.request_id,
        aggregate_id=receipt.aggregate_id,
        executed=receipt.error is None,
        reason=receipt.error.reason if receipt.error else "",
        reason_domain=receipt.error.domain if receipt.error else "",
    )
