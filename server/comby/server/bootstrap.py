"""Puts a server together: the only place that names concrete classes. Everything is entered on one stack, and left in reverse."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

from comby.server.application.facade import Facade
from comby.server.application.relay import RelayOptions
from comby.server.application.shared_ownership import ThisInstance
from comby.server.apps import App
from comby.server.ports.broker import Broker
from comby.server.ports.instance_store import InstanceStore
from comby.server.ports.store import Store
from comby.server.rpc.grpc_server import TlsFiles, build_server
from comby.server.rpc.health import Health
from comby.server.rpc.instance_service import build_instance_table
from comby.server.rpc.peers import GrpcPeers, peer_credentials
from comby.server.rpc.services import build_table, services_of
from comby.server.settings import Settings, SettingsRefused, read_broker
from comby.server.stores.sqlite import backup, open_sqlite, restore

FLUSH_SECONDS = 0.1
"""Seconds for goodbyes and the last receipts of pipelines to be written, before the streams are ended; then for clients to
learn that their connection closes, before the calls that were held are refused."""
ANSWERS_GRACE = 1.0
"""Seconds for the last answers to leave, once all commands are drained."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that serves, and where."""

    address: str
    port: int
    facade: Facade
    health: Health


@asynccontextmanager
async def running(app: App, settings: Settings, *, name: str = "") -> AsyncIterator[Running]:
    """Serve an app until the context is left; then stop it in order, and let running commands finish.

    Raises RegistrationRefused, AddressUnavailable, SettingsRefused and the errors of the store.
    """
    async with AsyncExitStack() as stack:
        instance_id = str(uuid4())
        store = await stack.enter_async_context(open_store(settings.store, sender=instance_id))
        facade = Facade(name or app_name(settings.app), store, settings.limits)
        nats = await _open_nats(stack, settings, facade)
        app(facade)
        facade.seal()
        health = Health(services_of(facade))
        table = build_table(facade, health, server_version())
        server, port = build_server(table, settings.limits, listen=settings.listen, tls=_tls(settings))
        if store.instances is not None:
            served = _address(settings.listen, port)
            await _be_one_of_several(stack, facade, store.instances, settings, instance_id, served, nats)
        elif settings.read_only:
            raise SettingsRefused("read_only: this store serves one process, which has to execute the commands")
        await stack.enter_async_context(facade)

        async def stop() -> None:
            health.stop()
            facade.begin_stop()
            table.end_queries()
            await facade.drain(settings.shutdown_grace)
            table.hold()
            await asyncio.sleep(FLUSH_SECONDS)
            table.end_streams()
            closing = asyncio.create_task(server.stop(ANSWERS_GRACE))
            await asyncio.sleep(FLUSH_SECONDS)
            table.release()
            await closing

        stack.push_async_callback(stop)
        await server.start()
        health.serve()
        yield Running(address=_address(settings.listen, port), port=port, facade=facade, health=health)


async def _be_one_of_several(
    stack: AsyncExitStack,
    facade: Facade,
    instances: InstanceStore,
    settings: Settings,
    instance_id: str,
    served: str,
    nats: Callable[[Broker], Broker],
) -> None:
    """Let the facade share the log with other instances. `served` is where callers reach it; `nats` puts wake-ups over NATS before those of
    the store."""
    table = build_instance_table(facade, settings.limits)
    server, port = build_server(table, settings.limits, listen=settings.internal_listen, tls=_internal_tls(settings))
    this = ThisInstance(
        instance_id=instance_id,
        name=f"{socket.gethostname()}/{served}",
        address=settings.internal_address or _address(settings.internal_listen, port),
        eligible=not settings.read_only,
        version=server_version(),
    )
    peers = GrpcPeers(settings.limits, peer_credentials(_internal_tls(settings)))
    broker = nats(store_broker(settings.store, sender=instance_id))

    async def stop() -> None:
        table.end_streams()
        await server.stop(ANSWERS_GRACE)
        await peers.close()

    stack.push_async_callback(stop)
    facade.be_one_of(instances, this, broker, peers)
    await server.start()


async def _open_nats(stack: AsyncExitStack, settings: Settings, facade: Facade) -> Callable[[Broker], Broker]:
    """Let the facade publish its events, where a broker is set. It need not be there: it is connected to in the background. Raises SettingsRefused."""
    if not settings.broker:
        return lambda broker: broker
    from comby.server.brokers.nats import NatsOptions, OptionsRefused, StreamOptions, open_nats  # only where it is used

    url = read_broker(settings.broker)
    options = NatsOptions(
        servers=url.servers,
        tls=url.tls,
        user=url.user,
        password=url.password,
        token=url.token,
        credentials=settings.broker_credentials,
        nkey=settings.broker_nkey,
        ca=settings.broker_ca,
        certificate=settings.broker_certificate,
        key=settings.broker_key,
        stream=StreamOptions(
            max_age=settings.stream_max_age,
            max_bytes=settings.stream_max_bytes,
            replicas=settings.stream_replicas,
            managed=settings.stream_managed,
        ),
    )
    try:
        name = settings.broker_name or facade.name
        opened = await stack.enter_async_context(open_nats(options, name=name, log=facade.identity))
    except OptionsRefused as error:
        raise SettingsRefused(f"broker: {error}") from None
    relay = RelayOptions(history=settings.stream_history, keep=settings.stream_max_age)
    facade.publish_through(opened.publisher, relay)
    return opened.before


def store_broker(url: str, *, sender: str) -> Broker:
    """Return what carries wake-ups between the instances of a store, in the name of one of them."""
    from comby.server.stores.postgres import PostgresBroker  # an embedded server does without its driver

    return PostgresBroker(url, sender=sender)


def open_store(url: str, *, sender: str | None = None) -> AbstractAsyncContextManager[Store]:
    """Return the store of a URL, to be entered. Raises SettingsRefused for a scheme that is not known.

    With a `sender` a store for several instances tells the others of each commit, in that name.
    """
    match url.partition(":")[0]:
        case "sqlite":
            return open_sqlite(url)
        case "postgresql" | "postgres":
            from comby.server.stores.postgres import open_postgres  # an embedded server does without its driver

            return open_postgres(url, sender=sender)
        case scheme:
            raise SettingsRefused(
                f"store: {scheme!r} is no store; write it as sqlite:///file.db or postgresql://host/database"
            )


def backup_store(url: str, file: Path) -> None:
    """Write a verified copy of a store. Raises SettingsRefused, StoreError and OSError."""
    _only_sqlite(url, "copy the database with pg_basebackup, or with pg_dump")
    backup(url, file)


def restore_store(file: Path, url: str, *, force: bool) -> None:
    """Make a store from a backup, as a new incarnation. Raises SettingsRefused, StoreError and OSError."""
    _only_sqlite(url, "restore what pg_basebackup or pg_dump copied")
    restore(file, url, force=force)


def app_name(reference: str) -> str:
    """Return the name of an app: the first part of its module."""
    return reference.partition(":")[0].partition(".")[0] or "comby"


def server_version() -> str:
    """Return the version of the installed server."""
    try:
        return version("comby-server")
    except PackageNotFoundError:
        return "0"


def _address(listen: str, port: int) -> str:
    return listen if listen.startswith("unix") else f"{listen.rpartition(':')[0]}:{port}"


def _internal_tls(settings: Settings) -> TlsFiles | None:
    if settings.internal_tls_certificate is None or settings.internal_tls_key is None:
        return None
    return TlsFiles(
        certificate=settings.internal_tls_certificate,
        key=settings.internal_tls_key,
        client_ca=settings.internal_tls_ca,
    )


def _tls(settings: Settings) -> TlsFiles | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(certificate=settings.tls_certificate, key=settings.tls_key, client_ca=settings.tls_client_ca)


def _only_sqlite(url: str, instead: str) -> None:
    match url.partition(":")[0]:
        case "sqlite":
            return
        case "postgresql" | "postgres":
            raise SettingsRefused(f"store: this command is for SQLite; with the tools of PostgreSQL, {instead}")
        case scheme:
            raise SettingsRefused(f"store: {scheme!r} is no store; write it as sqlite:///file.db")
