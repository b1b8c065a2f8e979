"""What tests of several instances ask of the cluster, and where in it their accounts are."""

import asyncio
from collections import Counter
from collections.abc import Callable

from comby.facade.v1.cluster_pb2 import DescribeClusterRequest, DescribeClusterResponse
from comby.facade.v1.facade_service_pb2_grpc import FacadeServiceStub
from comby.server.application.admission import partition_of
from comby.server.domain.identity import AggregateKey
from comby.server.ports.command_store import NewCommand
from tests.contract.facade.bank_calls import opened, stored
from tests.contract.facade.driver import Driver
from tests.domains.bank.v1.bank_pb2 import Deposit
from tests.integration.instances.conftest import Served
from tests.waiting import until

SETTLING_SECONDS = 15.0


async def described(served: Served) -> DescribeClusterResponse:
    """Ask an instance for the cluster."""
    answer: DescribeClusterResponse = await FacadeServiceStub(served.channel).DescribeCluster(DescribeClusterRequest())
    return answer


def owned(cluster: DescribeClusterResponse) -> Counter[str]:
    """Count the partitions of each owner."""
    return Counter(one.owner for one in cluster.holdings if one.WhichOneof("holding") == "partition")


async def until_cluster(served: Served, settled: Callable[[DescribeClusterResponse], bool]) -> DescribeClusterResponse:
    """Ask until the cluster is as it should be."""
    async with asyncio.timeout(SETTLING_SECONDS):
        while not settled(cluster := await described(served)):
            await asyncio.sleep(0.02)
    return cluster


def place(account_id: str) -> int:
    """Return the partition of an account."""
    return partition_of(AggregateKey("default", "Bank", account_id))


async def opened_where(driver: Driver, fits: Callable[[int], bool]) -> str:
    """Open accounts until one is in a partition that fits."""
    while not fits(place(account_id := await opened(driver))):
        pass
    return account_id


async def until_known(served: Served, *account_ids: str) -> None:
    """Wait until an instance knows who owns accounts that it does not own."""
    address_of = served.facade._running.ownership.address_of
    await until("the owners are known", lambda: all(address_of(place(one)) for one in account_ids))


def deposit(account_id: str, *, seq: int) -> NewCommand:
    """Return a deposit as another instance stores it."""
    return stored(Deposit(account_id=account_id, amount=1, seq=seq), account_id)
