"""Puts a server together: the only place that names concrete classes. Everything is entered on one stack, and left in reverse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from comby.server.application.facade import Facade
from comby.server.application.relay import RelayOptions
from comby.server.apps import App
from comby.server.brokers.memory.broker import InProcessBroker
from comby.server.domain.identity import LogIdentity
from comby.server.ports.broker import Broker
from comby.server.ports.event_publisher import EventPublisher
from comby.server.ports.store import Store
from comby.server.rpc.grpc_server import TlsFiles, build_server
from comby.server.rpc.health import Health
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
        store = await stack.enter_async_context(open_store(settings.store))
        called = name or app_name(settings.app)
        broker, publisher = await _open_broker(stack, settings, called, store.events.identity)
        relay = RelayOptions(history=settings.stream_history, keep=settings.stream_max_age)
        facade = Facade(called, store, broker, settings.limits, publisher=publisher, relay=relay)
        app(facade)
        await stack.enter_async_context(facade)
        health = Health(services_of(facade))
        table = build_table(facade, health, server_version())
        server, port = build_server(table, settings.limits, listen=settings.listen, tls=_tls(settings))

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


def open_store(url: str) -> AbstractAsyncContextManager[Store]:
    """Return the store of a URL, to be entered. Raises SettingsRefused for a scheme that is not known."""
    _only_sqlite(url)
    return open_sqlite(url)


def backup_store(url: str, file: Path) -> None:
    """Write a verified copy of a store. Raises SettingsRefused, StoreError and OSError."""
    _only_sqlite(url)
    backup(url, file)


def restore_store(file: Path, url: str, *, force: bool) -> None:
    """Make a store from a backup, as a new incarnation. Raises SettingsRefused, StoreError and OSError."""
    _only_sqlite(url)
    restore(file, url, force=force)


async def _open_broker(
    stack: AsyncExitStack, settings: Settings, name: str, log: LogIdentity
) -> tuple[Broker, EventPublisher | None]:
    """Enter the broker. It need not be there: it is connected to in the background. Raises SettingsRefused."""
    if not settings.broker:
        return InProcessBroker(), None
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
        opened = await stack.enter_async_context(open_nats(options, name=settings.broker_name or name, log=log))
    except OptionsRefused as error:
        raise SettingsRefused(f"broker: {error}") from None
    return opened.broker, opened.publisher


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


def _tls(settings: Settings) -> TlsFiles | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    return TlsFiles(certificate=settings.tls_certificate, key=settings.tls_key, client_ca=settings.tls_client_ca)


def _only_sqlite(url: str) -> None:
    scheme = url.partition(":")[0]
    if scheme != "sqlite":
        raise SettingsRefused(f"store: {scheme!r} is no store; write it as sqlite:///file.db")
