"""`comby cluster`: the instances that serve the log, and what each of them owns."""

from comby.client.cli._session import Session
from comby.facade.v1 import cluster_pb2


async def cluster(session: Session) -> None:
    """Print the log, the instances, and who owns which partition and duty."""
    request = cluster_pb2.DescribeClusterRequest()
    await session.show(await session.call("DescribeCluster", request, cluster_pb2.DescribeClusterResponse))
