"""The links between instances: certificates on both sides, and what speaks without one is not heard."""

from pathlib import Path

import grpc
import trustme

from comby.server.application.admission import PARTITIONS
from tests.contract.facade.bank_calls import account, executed, opened
from tests.domains.bank.v1.bank_pb2 import Deposit
from tests.integration.instances.conftest import Join
from tests.integration.instances.test_instances import described, owned, until

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
        await until(owner, lambda cluster: owned(cluster)[cluster.instance_id] == PARTITIONS)
        account_id = await opened(reader.driver)
        await executed(reader.driver, Deposit(account_id=account_id, amount=4))
        assert 4 == (await account(reader.driver, account_id)).balance

        cluster = await described(owner)
        [address] = [one.address for one in cluster.instances if one.instance_id == cluster.instance_id]
        trusting = grpc.ssl_channel_credentials(root_certificates=files["internal_tls_ca"].read_bytes())
        async with grpc.aio.secure_channel(address, trusting) as channel:
            call: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream(FORWARD)()
            assert grpc.StatusCode.UNAVAILABLE == await call.code()
