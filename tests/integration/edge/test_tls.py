"""TLS and mTLS, and what is refused without them."""

from pathlib import Path
from uuid import uuid4

import grpc
import pytest
import trustme
from grpc import aio
from pydantic import ValidationError

from comby.facade.v1 import command_pb2
from comby.server.settings import Settings
from tests.integration.edge.calls import FACADE, ORDERS, place
from tests.integration.edge.conftest import Serve


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """The authority that both sides trust."""
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> dict[str, Path]:
    """The server's files."""
    certificate = authority.issue_cert("localhost", "127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return {"tls_certificate": tmp_path / "cert.pem", "tls_key": tmp_path / "key.pem"}


def _credentials(authority: trustme.CA, client: trustme.LeafCert | None = None) -> grpc.ChannelCredentials:
    if client is None:
        return grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    return grpc.ssl_channel_credentials(
        authority.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
    )


async def _actor(channel: aio.Channel) -> str:
    """Place an order, and return who is recorded to have asked."""
    request_id = str(uuid4())
    metadata = (("comby-request-id", request_id), ("comby-wait", "accepted"))
    await channel.unary_unary(f"{ORDERS}PlaceOrder")(place().SerializeToString(), metadata=metadata)
    raw = command_pb2.GetCommandRequest(request_id=request_id).SerializeToString()
    return command_pb2.CommandRecord.FromString(await channel.unary_unary(f"{FACADE}GetCommand")(raw)).context.actor_id


async def test_tls(serve: Serve, authority: trustme.CA, files: dict[str, Path]) -> None:
    async with serve(**files) as server, aio.secure_channel(server.address, _credentials(authority)) as channel:
        assert await _actor(channel) == ""


async def test_mutual_tls_names_the_actor(
    serve: Serve, authority: trustme.CA, files: dict[str, Path], tmp_path: Path
) -> None:
    named = authority.issue_cert("billing.example.org")
    person = authority.issue_cert("ada@example.org", common_name="Ada")
    async with serve(**files, tls_client_ca=tmp_path / "ca.pem") as server:
        async with aio.secure_channel(server.address, _credentials(authority, named)) as channel:
            assert await _actor(channel) == "billing.example.org"
        async with aio.secure_channel(server.address, _credentials(authority, person)) as channel:
            assert await _actor(channel) == "ada@example.org"
        strangers = [None, trustme.CA().issue_cert("stranger.example.org")]
        for stranger in strangers:
            async with aio.secure_channel(server.address, _credentials(authority, stranger)) as channel:
                with pytest.raises(aio.AioRpcError) as caught:
                    await _actor(channel)
                assert grpc.StatusCode.UNAVAILABLE is caught.value.code()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.org:0", ":0"])
def test_a_public_address_needs_tls_or_an_explicit_word(listen: str) -> None:
    with pytest.raises(ValidationError, match="allow_insecure_public"):
        Settings(app="a:b", listen=listen)
    assert listen == Settings(app="a:b", listen=listen, allow_insecure_public=True).listen


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.8.8:0", "[::1]:0", "localhost:0", "unix:/tmp/socket"])
def test_a_loopback_address_does_not(listen: str) -> None:
    assert listen == Settings(app="a:b", listen=listen).listen
