"""TLS on the way to the database, by the parameters of its URL. The front ends TLS, since a server from a wheel has none."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from comby.server.ports.errors import StoreError, StoreIncompatible, StoreUnavailable
from comby.server.ports.event_store import Committed
from comby.server.stores.postgres import open_postgres
from tests.cut_proxy import Proxy, listening
from tests.postgres_databases import databases
from tests.unit.stores.store_requests import append

TLS_WANTED = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
"""SSLRequest, with which a client of PostgreSQL begins that will speak TLS only."""
BACK_SECONDS = 10.0


class Front(Proxy):
    """Takes connections that ask for TLS, and nothing else, and forwards what is said in them."""

    context: ssl.SSLContext

    def show(self, certificate: trustme.LeafCert) -> None:
        """Use another certificate for new connections."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self.context)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await reader.readexactly(len(TLS_WANTED)) != TLS_WANTED:
                raise ConnectionRefusedError
            writer.write(b"S")
            await writer.start_tls(self.context)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            return
        await super().serve(reader, writer)


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """The authority that is trusted, in ca.pem."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    return made


@pytest.fixture
def plain(tmp_path: Path) -> str:
    """A database without TLS."""
    return databases().url(tmp_path)


@pytest.fixture
async def front(authority: trustme.CA) -> AsyncIterator[Front]:
    """A front of it, with a certificate for its host."""
    made = Front(databases().server.port)
    made.show(authority.issue_cert("127.0.0.1"))
    async with listening(made):
        yield made


@pytest.fixture
def url(plain: str, front: Front) -> str:
    """The URL of the front."""
    return plain.replace(str(databases().server.port), str(front.port))


async def refusal(url: str) -> StoreError:
    """Open a store that is to be refused, and return how it was."""
    with pytest.raises(StoreError) as refused:
        async with open_postgres(url):
            pass
    assert refused.value.__cause__ is None
    return refused.value


async def test_all_connections_are_encrypted_and_the_server_is_known(url: str, tmp_path: Path) -> None:
    async with open_postgres(f"{url}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem") as store:
        [verdict] = await store.events.commit([append("o-1")])
        assert isinstance(verdict, Committed)
        assert verdict.last == await store.events.head()


async def test_a_server_that_is_not_the_one_is_refused(
    url: str, front: Front, authority: trustme.CA, tmp_path: Path
) -> None:
    wanted = f"{url}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem"

    for certificate in (trustme.CA().issue_cert("127.0.0.1"), authority.issue_cert("another.host")):
        front.show(certificate)
        error = await refusal(wanted)
        assert isinstance(error, StoreIncompatible)
        assert "certificate" in str(error)


async def test_what_can_not_be_encrypted_is_refused(plain: str, url: str, tmp_path: Path) -> None:
    demanded = await refusal(f"{plain}?sslmode=require")
    missing = await refusal(f"{url}?sslmode=verify-full&sslrootcert={tmp_path}/none.pem")

    assert "demands TLS" in str(demanded)
    assert "file" in str(missing)
    assert str(tmp_path) not in str(missing)


async def test_a_certificate_that_is_refused_later_is_an_outage(
    url: str, front: Front, authority: trustme.CA, tmp_path: Path
) -> None:
    """Seen failing: let through as the ValueError that it is."""
    async with open_postgres(f"{url}?sslmode=verify-full&sslrootcert={tmp_path}/ca.pem") as store:
        front.show(trustme.CA().issue_cert("127.0.0.1"))
        front.drop()
        for number in range(2):
            with pytest.raises(StoreUnavailable):
                await store.events.commit([append(f"o-{number}")])

        front.show(authority.issue_cert("127.0.0.1"))

        async with asyncio.timeout(BACK_SECONDS):
            while True:
                try:
                    [verdict] = await store.events.commit([append("o-2")])
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
                else:
                    break
        assert isinstance(verdict, Committed)
