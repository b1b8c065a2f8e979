"""Admission: from a request to a command that may be stored, or a typed refusal before anything is."""

from collections.abc import Callable
from uuid import NAMESPACE_URL, UUID
from uuid import uuid5 as standard_uuid5
from zlib import crc32

import uuid_utils
from google.protobuf.message import DecodeError, Message

from comby.server.application.contract import CommandType
from comby.server.application.errors import FieldViolation, InvalidMessage, UnknownType
from comby.server.application.event_codec import encode_context
from comby.server.application.pending import Pending
from comby.server.application.registry import Registry
from comby.server.application.requests import CommandRequest
from comby.server.application.same_command import fingerprint
from comby.server.application.validation import Validation
from comby.server.domain.context import RequestContext
from comby.server.domain.identity import AggregateKey, CommandKey, at_time_of, is_canonical
from comby.server.ports.command_store import NewCommand, StoredCommand

PARTITIONS = 128
"""Into how many partitions commands are hashed by (tenant, domain, aggregate)."""
DRAWS = 8
"""How many request ids are drawn for an aggregate that is executed here: with two instances that finds one nearly always, with many often."""
_TENANTS = standard_uuid5(NAMESPACE_URL, "comby:tenant")


class Admission:
    """Decodes and checks commands."""

    def __init__(
        self, registry: Registry, validation: Validation, executed_here: Callable[[int], bool] = lambda partition: True
    ) -> None:
        """`executed_here` tells whether this instance executes the commands of a partition."""
        self._registry = registry
        self._validation = validation
        self._executed_here = executed_here
        self._namespaces: dict[str, uuid_utils.UUID] = {}

    def admit(self, request: CommandRequest) -> Pending:
        """Return the command of a request. Raises UnknownType or InvalidMessage.

        A request id that was drawn for the caller may be replaced, so that the aggregate that is created from it is one of this instance.
        """
        kind = self._registry.commands.get(request.type)
        if kind is None:
            raise UnknownType(request.type)
        message = _decode(kind, request.payload)
        self._validation.check(message)
        tenant_id = request.context.tenant_id
        request_id = _canonical(request.request_id) if request.request_id else str(uuid_utils.uuid7())
        aggregate = AggregateKey(
            tenant_id, kind.aggregate.domain, self._aggregate_id(kind, message, tenant_id, request_id)
        )
        partition = partition_of(aggregate)
        if (
            request.drawn
            and not self._executed_here(partition)
            and kind.creates
            and aggregate.aggregate_id == self._made_id(tenant_id, request_id)
        ):
            request_id, aggregate, partition = self._draw(aggregate)
            setattr(message, kind.id_field, aggregate.aggregate_id)
            request.request_id = request_id
        context = request.context
        if not context.correlation_id:
            causation_id = context.causation_id or request_id
            context = RequestContext(tenant_id, context.actor_id, request_id, causation_id, context.traceparent)
        key = CommandKey(tenant_id, request_id)
        payload, expected_version, not_before = request.payload, request.expected_version, request.not_before
        new = NewCommand(
            key,
            aggregate,
            partition,
            fingerprint(kind.identifier, payload, context.actor_id, expected_version, not_before),
            kind.identifier,
            payload,
            encode_context(context),
            expected_version,
            not_before,
        )
        return Pending(key, aggregate, kind, message, context, new)

    def readmit(self, stored: StoredCommand, context: RequestContext) -> Pending:
        """Return a stored command, to be executed. Raises UnknownType or InvalidMessage when the contract has lost
        it."""
        kind = next((one for one in self._registry.commands.values() if one.identifier == stored.type), None)
        if kind is None or stored.command is None:
            raise UnknownType(stored.type)
        message = _decode(kind, stored.command)
        setattr(message, kind.id_field, stored.aggregate.aggregate_id)
        new = NewCommand(
            key=stored.key,
            aggregate=stored.aggregate,
            partition=stored.partition,
            fingerprint=stored.fingerprint,
            type=stored.type,
            command=stored.command,
            context=stored.context,
            expected_version=stored.expected_version,
            not_before=stored.not_before,
        )
        return Pending(
            key=stored.key,
            aggregate=stored.aggregate,
            kind=kind,
            message=message,
            context=context,
            new=new,
            durable=True,
            accept_seq=stored.accept_seq,
            claimed=True,
            attempts=stored.attempts,
        )

    def _aggregate_id(self, kind: CommandType, message: Message, tenant_id: str, request_id: str) -> str:
        given: str = getattr(message, kind.id_field)
        if given and is_canonical(given):
            return given
        if given:
            try:
                made = str(UUID(given)) if len(given) == 36 else ""
            except ValueError:
                made = ""
            if not made:
                raise _bad_id(kind, "string.uuid", "must be a valid UUID")
        elif kind.creates:
            made = self._made_id(tenant_id, request_id)
        else:
            raise _bad_id(kind, "required", "must name an aggregate")
        setattr(message, kind.id_field, made)
        return made

    def _made_id(self, tenant_id: str, request_id: str) -> str:
        """Return the id of the aggregate that a request creates: the same for each try."""
        namespace = self._namespaces.get(tenant_id)
        if namespace is None:
            namespace = self._namespaces[tenant_id] = uuid_utils.UUID(str(standard_uuid5(_TENANTS, tenant_id)))
        return at_time_of(request_id, str(uuid_utils.uuid5(namespace, request_id)))

    def _draw(self, aggregate: AggregateKey) -> tuple[str, AggregateKey, int]:
        """Draw request ids until the aggregate that one makes is executed here, and need not be forwarded; but only a few."""
        for _ in range(DRAWS):
            request_id = str(uuid_utils.uuid7())
            drawn = aggregate._replace(aggregate_id=self._made_id(aggregate.tenant_id, request_id))
            partition = partition_of(drawn)
            if self._executed_here(partition):
                break
        return request_id, drawn, partition


def partition_of(key: AggregateKey) -> int:
    """Return the partition of an aggregate's commands; the same on every machine (CRC-32)."""
    return crc32(f"{key.tenant_id}/{key.domain}/{key.aggregate_id}".encode()) % PARTITIONS


def _decode(kind: CommandType, payload: bytes) -> Message:
    try:
        return kind.message.FromString(payload)
    except DecodeError:
        raise InvalidMessage(kind.message.DESCRIPTOR.full_name) from None


def _canonical(request_id: str) -> str:
    if is_canonical(request_id):
        return request_id
    try:
        return str(UUID(request_id))
    except ValueError:
        raise InvalidMessage(
            "comby.facade.v1.CommandOptions", [FieldViolation("request_id", "string.uuid", "must be a valid UUID")]
        ) from None


def _bad_id(kind: CommandType, rule: str, description: str) -> InvalidMessage:
    return InvalidMessage(kind.message.DESCRIPTOR.full_name, [FieldViolation(kind.id_field, rule, description)])
