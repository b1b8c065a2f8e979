"""The links between instances: certificates on both sides, and what speaks without one is not heard."""

import asyncio
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
import trustme

from comby.server.application.admission import PARTITIONS
from comby.server.application.requests import CommandRequest, Stage
from comby.server.domain.context import RequestContext
from comby.server.ports.peers import PeerUnreachable
from comby.server.rpc.peers import Link
from tests.contract.facade.bank_calls import account, executed, new_id, opened, sent
from tests.domains.bank.v1.bank_pb2 import Deposit, DepositAtGate
from tests.domains.controls import Controls
from tests.integration.instances.cluster import described, opened_where, owned, until_cluster, until_known
from tests.integration.instances.conftest import LIMITS, Join
from tests.unit.application.bank_commands import dispatch

FORWARD = "/comby.cluster.v1.InstanceService/ForwardCommands"


def certificates(folder: Path) -> dict[str, Path]:
    """Write what an instance shows, and the authority that signed it."""
    authority = trustme.CA()
    own = authority.issue_cert("localhost", "127.0.0.1")
    files = {name: folder / f"{name}.pem" for name in ("certificate", "key", "ca")}
    own.cert_chain_pems[0].write_to_path(files["certificate"])
    own.private_key_pem.write_to_path(files["key"])
    authority.cert_pem.write_to_path(files["ca"])
    return {f"internal_tls_{name}": file for name, file in files.items()}


async def test_instances_show_each_other_certificates(join: Join, tmp_path: Path) -> None:
    """Seen failing: a server for other instances that demands no certificate."""
    files = certificates(tmp_path)
    async with join(**files) as owner, join(read_only=True, **files) as reader:
        await until_cluster(owner, lambda cluster: owned(cluster)[cluster.instance_id] == PARTITIONS)
        account_id = await opened(reader.driver)
        await executed(reader.driver, Deposit(account_id=account_id, amount=4))
        assert 4 == (await account(reader.driver, account_id)).balance

        cluster = await described(owner)
        [address] = [one.address for one in cluster.instances if one.instance_id == cluster.instance_id]
        trusting = grpc.ssl_channel_credentials(root_certificates=files["internal_tls_ca"].read_bytes())
        async with grpc.aio.secure_channel(address, trusting) as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(FORWARD)()
            assert grpc.StatusCode.UNAVAILABLE == await call.code()


async def test_what_is_sent_on_a_link_that_is_broken_off_at_once_is_not_left_without_an_answer() -> None:
    """Seen failing: the link ended before it began, and told nobody."""
    link = Link("127.0.0.1:1", grpc.aio.insecure_channel("127.0.0.1:1"))
    request = CommandRequest(type="bank.v1.Deposit", payload=b"", context=RequestContext(), request_id=new_id())
    sending = asyncio.ensure_future(link.send(request))
    link.break_off()
    async with asyncio.timeout(20):
        with pytest.raises(PeerUnreachable):
            await sending
        await link.closed()


async def test_what_is_forwarded_takes_no_room_from_what_is_executed_here(join: Join, controls: Controls) -> None:
    """Seen failing: while another owner was slow, the stored commands of this one were not claimed, and nothing began at once."""
    few = replace(LIMITS, claimed_commands=10, accept_after=5.0)
    async with join(limits=few) as here, join(limits=few) as there:
        for one in (here, there):
            await until_cluster(one, lambda cluster: sorted(owned(cluster).values()) == [PARTITIONS // 2] * 2)
        owns = here.facade._running.ownership.owns
        mine = await opened_where(here.driver, owns)
        theirs = [await opened_where(there.driver, lambda partition: not owns(partition)) for _ in range(12)]
        await until_known(here, *theirs)
        slow = [
            dispatch(here.facade, DepositAtGate(account_id=one, gate="slow", amount=1), Stage.EXECUTED)
            for one in theirs
        ]
        await controls.gate("slow").reached(len(theirs))
        first = await here.driver.dispatch(sent(Deposit(account_id=mine, amount=1), wait=Stage.ACCEPTED))
        second = await here.driver.dispatch(sent(Deposit(account_id=mine, amount=1), wait_timeout=3.0))
        assert Stage.EXECUTED == second.stage
        assert Stage.EXECUTED == (await here.driver.wait(first.request_id, Stage.EXECUTED)).stage
        controls.gate("slow").open()
        await asyncio.gather(*slow)
