"""Calls of an operator: projections, reactors and parked keys."""

from typing import Literal, TypeAlias

from comby.client._connection import FACADE, Connection
from comby.client._records import Page
from comby.facade.v1 import projection_pb2

ConsumerKind: TypeAlias = Literal["projection", "reactor", "relay"]
ParkedKeyAction: TypeAlias = Literal["retry", "skip"]

_KINDS = {
    None: projection_pb2.CONSUMER_KIND_UNSPECIFIED,
    "projection": projection_pb2.CONSUMER_KIND_PROJECTION,
    "reactor": projection_pb2.CONSUMER_KIND_REACTOR,
    "relay": projection_pb2.CONSUMER_KIND_RELAY,
}
_ACTIONS = {
    "retry": projection_pb2.PARKED_KEY_ACTION_RETRY,
    "skip": projection_pb2.PARKED_KEY_ACTION_SKIP,
}


class OperationCalls:
    """The part of `Comby` that is about what follows the log."""

    _connection: Connection

    async def list_consumers(self, kind: ConsumerKind | None = None) -> tuple[projection_pb2.Consumer, ...]:
        """Return the projections and reactors, and the relay to a broker, by name, and how far each has come."""
        answer = await self._connection.unary(
            f"{FACADE}ListConsumers",
            projection_pb2.ListConsumersRequest(kind=_KINDS[kind]),
            projection_pb2.ListConsumersResponse,
        )
        return tuple(answer.consumers)

    async def rebuild_projection(self, name: str) -> projection_pb2.Consumer:
        """Build a projection anew beside the live one, which answers until the new one has caught up."""
        return await self._connection.unary(
            f"{FACADE}RebuildProjection",
            projection_pb2.RebuildProjectionRequest(name=name),
            projection_pb2.Consumer,
            retry=False,
        )

    async def list_parked_keys(
        self, reactor: str = "", *, page_size: int = 0, page_token: str = "", tenant_id: str | None = None
    ) -> Page[projection_pb2.ParkedKey]:
        """Return a page of the aggregates at which a reactor failed."""
        request = projection_pb2.ListParkedKeysRequest(reactor=reactor, page_size=page_size, page_token=page_token)
        answer = await self._connection.unary(
            f"{FACADE}ListParkedKeys", request, projection_pb2.ListParkedKeysResponse, tenant_id=tenant_id
        )
        return Page(items=tuple(answer.keys), next_page_token=answer.next_page_token)

    async def resolve_parked_key(
        self, reactor: str, domain: str, aggregate_id: str, action: ParkedKeyAction, *, tenant_id: str | None = None
    ) -> projection_pb2.ParkedKey:
        """Retry the event at which a reactor failed, or skip it; those that wait behind it go on."""
        request = projection_pb2.ResolveParkedKeyRequest(
            reactor=reactor, domain=domain, aggregate_id=aggregate_id, action=_ACTIONS[action]
        )
        return await self._connection.unary(
            f"{FACADE}ResolveParkedKey", request, projection_pb2.ParkedKey, tenant_id=tenant_id, retry=False
        )
