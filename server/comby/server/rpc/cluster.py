"""The instances and what they own, as messages of the contract."""

from google.protobuf import duration_pb2

from comby.facade.v1 import cluster_pb2, context_pb2
from comby.server.application.requests import ClusterView
from comby.server.ports.instance_store import Holding, Instance, Ownership
from comby.server.rpc.encoding import timestamp


def cluster_message(view: ClusterView) -> cluster_pb2.DescribeClusterResponse:
    """Encode a view of the cluster: instances by name, partitions by number, then duties by name."""
    holdings = view.membership.holdings
    answer = cluster_pb2.DescribeClusterResponse(
        log=context_pb2.LogIdentity(log_id=view.log.log_id, incarnation=view.log.incarnation),
        head=view.head,
        position=view.position,
        instance_id=view.instance_id,
        instances=[_instance(one) for one in sorted(view.membership.instances, key=lambda one: one.name)],
        holdings=[_holding(one, holdings[one]) for one in sorted(holdings, key=_place)],
    )
    if view.snapshot_age is not None:
        seconds, rest = divmod(view.snapshot_age, 1)
        answer.snapshot_age.CopyFrom(duration_pb2.Duration(seconds=int(seconds), nanos=int(rest * 1_000_000_000)))
    return answer


def _instance(one: Instance) -> cluster_pb2.Instance:
    return cluster_pb2.Instance(
        instance_id=one.instance_id,
        name=one.name,
        address=one.address,
        read_only=not one.eligible,
        version=one.version,
        started_at=timestamp(one.started_at),
        heartbeat_at=timestamp(one.heartbeat_at),
        live=one.live,
    )


def _holding(holding: Holding, ownership: Ownership) -> cluster_pb2.Holding:
    message = cluster_pb2.Holding(owner=ownership.owner or "", epoch=ownership.epoch)
    if isinstance(holding, int):
        message.partition = holding
    else:
        message.duty = holding
    return message


def _place(holding: Holding) -> tuple[bool, int, str]:
    return (True, 0, holding) if isinstance(holding, str) else (False, holding, "")
