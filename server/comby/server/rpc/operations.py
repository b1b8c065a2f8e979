"""The methods of the FacadeService for operators: consumers, parked keys, and the model."""

from collections.abc import Iterable

from comby.facade.v1 import cluster_pb2, context_pb2, model_pb2, projection_pb2
from comby.server.application.facade import Facade
from comby.server.application.requests import ConsumerKind, ConsumerView
from comby.server.ports.checkpoint_store import WaitingKey
from comby.server.rpc.call import Call
from comby.server.rpc.cluster import cluster_message
from comby.server.rpc.commands import SERVICE
from comby.server.rpc.decoding import decode
from comby.server.rpc.encoding import timestamp
from comby.server.rpc.model import domain_models
from comby.server.rpc.table import Method, Unary

_KINDS = {
    ConsumerKind.PROJECTION: projection_pb2.CONSUMER_KIND_PROJECTION,
    ConsumerKind.REACTOR: projection_pb2.CONSUMER_KIND_REACTOR,
    ConsumerKind.RELAY: projection_pb2.CONSUMER_KIND_RELAY,
}


class OperationMethods:
    """Shows how far consumers are, and sets going again what stands still."""

    def __init__(self, facade: Facade, version: str) -> None:
        self._facade = facade
        self._version = version

    def methods(self) -> list[Method]:
        """Return the methods for the table."""
        return [
            Unary(path=f"{SERVICE}ListConsumers", handler=self.list_consumers),
            Unary(path=f"{SERVICE}RebuildProjection", handler=self.rebuild),
            Unary(path=f"{SERVICE}ListParkedKeys", handler=self.list_parked),
            Unary(path=f"{SERVICE}ResolveParkedKey", handler=self.resolve),
            Unary(path=f"{SERVICE}DescribeCluster", handler=self.describe_cluster),
            Unary(path=f"{SERVICE}DescribeModel", handler=self.describe),
        ]

    async def list_consumers(self, raw: bytes, call: Call) -> bytes:
        """ListConsumers."""
        message = decode(projection_pb2.ListConsumersRequest, raw, self._facade.validation)
        views = sorted(await self._facade.consumers(), key=lambda view: view.name)
        kept = [one for one in map(_consumer, views) if message.kind in (0, one.kind)]
        return projection_pb2.ListConsumersResponse(consumers=kept).SerializeToString()

    async def rebuild(self, raw: bytes, call: Call) -> bytes:
        """RebuildProjection."""
        message = decode(projection_pb2.RebuildProjectionRequest, raw, self._facade.validation)
        return _consumer(await self._facade.rebuild_projection(message.name)).SerializeToString()

    async def list_parked(self, raw: bytes, call: Call) -> bytes:
        """ListParkedKeys."""
        message = decode(projection_pb2.ListParkedKeysRequest, raw, self._facade.validation)
        keys, token = await self._facade.waiting_keys(
            call.context(), message.reactor, message.page_size, message.page_token
        )
        return projection_pb2.ListParkedKeysResponse(keys=_keys(keys), next_page_token=token).SerializeToString()

    async def resolve(self, raw: bytes, call: Call) -> bytes:
        """ResolveParkedKey."""
        message = decode(projection_pb2.ResolveParkedKeyRequest, raw, self._facade.validation)
        skip = message.action == projection_pb2.PARKED_KEY_ACTION_SKIP
        key = await self._facade.resolve_key(
            call.context(), message.reactor, message.domain, message.aggregate_id, skip=skip
        )
        (encoded,) = _keys([key])
        return encoded.SerializeToString()

    async def describe_cluster(self, raw: bytes, call: Call) -> bytes:
        """DescribeCluster."""
        decode(cluster_pb2.DescribeClusterRequest, raw, self._facade.validation)
        return cluster_message(await self._facade.cluster()).SerializeToString()

    async def describe(self, raw: bytes, call: Call) -> bytes:
        """DescribeModel."""
        decode(model_pb2.DescribeModelRequest, raw, self._facade.validation)
        identity = self._facade.identity
        return model_pb2.DescribeModelResponse(
            domains=domain_models(self._facade.registry),
            digest=self._facade.registry.digest,
            log=context_pb2.LogIdentity(log_id=identity.log_id, incarnation=identity.incarnation),
            head=await self._facade.head(),
            version=self._version,
        ).SerializeToString()


def _consumer(view: ConsumerView) -> projection_pb2.Consumer:
    consumer = projection_pb2.Consumer(
        name=view.name,
        kind=_KINDS[view.kind],
        position=view.position,
        head=view.head,
        generation=view.generation,
        parked_keys=view.parked_keys,
    )
    if view.rebuilding is not None:
        generation, position = view.rebuilding
        consumer.rebuilding.CopyFrom(projection_pb2.Rebuild(generation=generation, position=position))
    if view.failure is not None:
        failure = view.failure
        consumer.failure.CopyFrom(
            projection_pb2.Failure(
                position=failure.position,
                attempts=failure.attempts,
                since=timestamp(failure.since),
                incident=failure.incident,
            )
        )
    return consumer


def _keys(keys: Iterable[WaitingKey]) -> list[projection_pb2.ParkedKey]:
    return [
        projection_pb2.ParkedKey(
            reactor=one.reactor,
            domain=one.key.domain,
            aggregate_id=one.key.aggregate_id,
            failure=projection_pb2.Failure(
                position=one.position, attempts=one.attempts, since=timestamp(one.since), incident=one.incident
            ),
            waiting=one.waiting,
            parked=one.next_attempt_at is None,
            next_attempt_at=None if one.next_attempt_at is None else timestamp(one.next_attempt_at),
        )
        for one in keys
    ]
