"""Who may connect, over what, and what they need to be permitted."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nats
import pytest
import trustme

from comby.server.brokers.nats import NatsOptions, OptionsRefused, open_nats
from comby.server.domain.identity import LogIdentity, Position
from comby.server.ports.broker import EVERYTHING, Announcement
from comby.server.ports.errors import BrokerUnavailable, StreamRefused
from comby.server.ports.event_publisher import EventPublisher, StreamPlace
from tests.brokers.credentials import Identity, Trust
from tests.brokers.nats_server import NatsServer
from tests.brokers.outgoing import some
from tests.docs.documents import ROOT

LOG = LogIdentity("a-log", "its-first-life")
StartNats = Callable[..., NatsServer]
ADA = 'authorization { users: [ { user: ada, password: "p,w@:" } ] }'


async def test_a_user_with_a_password(start_nats: StartNats) -> None:
    server = start_nats(ADA)
    options = _to(server, user="ada", password="p,w@:")
    await _works(options)
    await _is_refused(replace(options, password="wrong"), "not authorized")
    await _is_refused(_to(server), "not authorized")


async def test_a_token(start_nats: StartNats) -> None:
    server = start_nats('authorization { token: "s3cret" }')
    await _works(_to(server, token="s3cret"))
    await _is_refused(_to(server, token="other"), "not authorized")


async def test_an_nkey(start_nats: StartNats, tmp_path: Path) -> None:
    identity, other = Identity("user"), Identity("user")
    server = start_nats(f"authorization {{ users: [ {{ nkey: {identity.public} }} ] }}")
    for number, one in enumerate((identity, other)):
        (tmp_path / f"nkey{number}").write_text(f"{one.seed}\n")
    await _works(_to(server, nkey=tmp_path / "nkey0"))
    await _is_refused(_to(server, nkey=tmp_path / "nkey1"), "not authorized")


async def test_a_credentials_file(start_nats: StartNats, tmp_path: Path) -> None:
    trust = Trust()
    server = start_nats(trust.settings)
    await _works(_to(server, credentials=trust.write(tmp_path / "user.creds")))
    await _is_refused(_to(server, credentials=Trust().write(tmp_path / "other.creds")), "not authorized")


async def test_tls_with_certificates_of_both_sides(start_nats: StartNats, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    for name, one in (("ca", authority), ("other", other)):
        one.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    files = {}
    for name in ("127.0.0.1", "comby"):
        issued = authority.issue_cert(name)
        issued.private_key_pem.write_to_path(str(tmp_path / f"{name}.key"))
        files[name] = tmp_path / f"{name}.crt"
        issued.cert_chain_pems[0].write_to_path(str(files[name]))
    server = start_nats(
        f'tls {{ cert_file: "{files["127.0.0.1"]}", key_file: "{tmp_path}/127.0.0.1.key", '
        f'ca_file: "{tmp_path}/ca.pem", verify: true }}'
    )
    shown = {"certificate": files["comby"], "key": tmp_path / "comby.key"}
    await _works(_to(server, tls=True, ca=tmp_path / "ca.pem", **shown))
    await _is_refused(_to(server, tls=True, ca=tmp_path / "other.pem", **shown), "TLS failed")
    await _is_refused(_to(server, tls=True, **shown), "TLS failed")
    await _is_refused(_to(server, tls=True, ca=tmp_path / "ca.pem"), "TLS failed|unreachable")


async def test_nothing_is_told_to_a_server_without_tls() -> None:
    told = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.11.0","max_payload":1048576,"headers":true,"nonce":"n"}\r\n')
        while data := await reader.read(4096):
            told.extend(data)
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        options = NatsOptions(servers=(f"127.0.0.1:{port}",), tls=True, user="ada", password="secret")
        await _is_refused(options, "the server offers no TLS")
    assert b"" == bytes(told)


async def test_what_the_documentation_permits_is_enough(start_nats: StartNats) -> None:
    page = (ROOT / "docs" / "broker.md").read_text("utf-8")
    block = re.search(r"```nats\n(.*?)```", page, re.DOTALL)
    assert block is not None
    server = start_nats(block[1])
    await _works(_to(server, user="comby", password="change-me"))
    violations: list[Exception] = []

    async def violated(error: Exception) -> None:
        violations.append(error)

    reader = await nats.connect(server.url, user="reader", password="change-me", error_cb=violated)
    async with _heard(_to(server, user="comby", password="change-me")) as heard, reader:
        for subject in ("shop.wakeups", "shop.events.default.Order.OrderPlaced", "$JS.API.STREAM.DELETE.shop-events"):
            await reader.publish(subject, b'{"head":3}')
        pulled = await reader.jetstream().pull_subscribe("shop.events.>", "reader", stream="shop-events")
        assert [1, 2] == [int((one.headers or {})["Comby-Position"]) for one in await pulled.fetch(10, timeout=1)]
        assert (3, []) == (len(violations), heard)


@pytest.mark.parametrize(
    "missing", ["shop.events.>", "$JS.API.STREAM.INFO.shop-events", "$JS.API.STREAM.CREATE.shop-events"]
)
async def test_what_is_not_permitted_is_told(start_nats: StartNats, missing: str) -> None:
    allowed = ["shop.events.>", "$JS.API.STREAM.INFO.shop-events", "$JS.API.STREAM.CREATE.shop-events"]
    allowed.remove(missing)
    server = start_nats(
        f'authorization {{ users: [ {{ user: u, password: p, permissions: {{ publish: {allowed}, subscribe: ["_INBOX.shop.>"] }} }} ] }}'
    )
    async with open_nats(_to(server, user="u", password="p"), name="shop", log=LOG) as opened:
        with pytest.raises(StreamRefused, match="not permitted"):
            await _publish_one(opened.publisher)


def test_files_that_can_not_be_used_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    half = tmp_path / "half"
    file.write_text("secret")
    half.write_text("-----BEGIN NATS USER JWT-----\nx\n-----BEGIN USER NKEY SEED-----\nsecret\n")
    for options, told in (
        (NatsOptions(servers=("a:1",), nkey=file), "holds no seed"),
        (NatsOptions(servers=("a:1",), credentials=file), "holds no JWT"),
        (NatsOptions(servers=("a:1",), credentials=half), "holds no seed"),
        (NatsOptions(servers=("a:1",), ca=file), "holds no certificate"),
        (NatsOptions(servers=("a:1",), certificate=file, key=file), "no certificate and its key"),
    ):
        with pytest.raises(OptionsRefused, match=told) as error:
            _checked(options)
        assert "secret" not in str(error.value)


def _checked(options: NatsOptions) -> None:
    async def check() -> None:
        async with open_nats(options, name="shop", log=LOG):
            pass

    asyncio.run(check())


async def _publish_one(publisher: EventPublisher) -> None:
    await publisher.end(limit=1)
    await publisher.publish(some(1, 1), after=StreamPlace(sequence=0))


def _to(server: NatsServer, **how: object) -> NatsOptions:
    return replace(NatsOptions(servers=(server.address,)), **how)  # type: ignore[arg-type]


async def _works(options: NatsOptions) -> None:
    """Both connections do what they are for."""
    async with _heard(options) as heard, open_nats(options, name="shop", log=LOG) as opened:
        await opened.publisher.end(limit=1)
        await opened.publisher.publish(some(1, 2), after=StreamPlace(sequence=0))
        assert 2 == (await opened.publisher.end(limit=2)).newest[0].position
        await opened.broker.connection.connected(10)
        await opened.broker.announce(Announcement(head=Position(2)))
        async with asyncio.timeout(10):
            while heard != [Announcement(head=Position(2))]:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def _heard(options: NatsOptions) -> AsyncIterator[list[Announcement]]:
    heard: list[Announcement] = []

    async def listen() -> None:
        async for announcement in opened.broker.announcements():
            heard.extend([announcement] if announcement != EVERYTHING else [])

    async with open_nats(options, name="shop", log=LOG) as opened:
        await opened.broker.connection.connected(10)
        task = asyncio.create_task(listen())
        await asyncio.sleep(0)
        yield heard
        task.cancel()


async def _is_refused(options: NatsOptions, reason: str) -> None:
    async with asyncio.timeout(10), open_nats(options, name="shop", log=LOG) as opened:
        while True:
            with pytest.raises(BrokerUnavailable) as error:
                await opened.publisher.connection.connected(0.02)
            if error.value.reason != "not connected yet":
                assert re.fullmatch(reason, error.value.reason)
                return
