"""The commands of the server: serve, dev, backup and restore; and beside them those that other wheels bring along."""

import asyncio
import gc
import os
import signal
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import uvloop

from comby.server.application.refusals import RegistrationRefused
from comby.server.apps import AppNotFound, load_app
from comby.server.bootstrap import app_name, backup_store, restore_store, running
from comby.server.development import serve_and_reload
from comby.server.logs import configure_logs
from comby.server.ports.errors import StoreError
from comby.server.rpc.grpc_server import AddressUnavailable
from comby.server.settings import (
    DEFAULT_STORE,
    Settings,
    SettingsRefused,
    is_loopback,
    load_settings,
    shown_broker,
    shown_store,
)

COMMANDS_GROUP = "comby.commands"
"""Entry points of other wheels: Typer apps whose commands join these."""
INTERRUPTED = 130

AppOption = Annotated[str | None, typer.Option(help="The app, as package.module:function. [COMBY_APP]")]
ListenOption = Annotated[str | None, typer.Option(help="Address and port to listen on. [COMBY_LISTEN]")]
StoreOption = Annotated[str | None, typer.Option(help="URL of the store. [COMBY_STORE]")]
BrokerOption = Annotated[str | None, typer.Option(help="URL of the broker, nats:// or tls://. [COMBY_BROKER]")]
LimitOption = Annotated[list[str] | None, typer.Option(help="A limit, as name=value; may be given several times.")]

root = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Event sourcing and CQRS as a gRPC service.",
)


@root.command()
def serve(
    app: AppOption = None,
    listen: ListenOption = None,
    store: StoreOption = None,
    broker: BrokerOption = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file. [COMBY_TLS_CERTIFICATE]")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file. [COMBY_TLS_KEY]")] = None,
    tls_client_ca: Annotated[Path | None, typer.Option(help="PEM file; clients must show a certificate.")] = None,
    allow_insecure_public: Annotated[
        bool | None, typer.Option("--allow-insecure-public", help="Listen publicly without TLS.")
    ] = None,
    read_only: Annotated[
        bool | None,
        typer.Option("--read-only", help="Answer queries and streams only; forward commands. [COMBY_READ_ONLY]"),
    ] = None,
    internal_listen: Annotated[
        str | None, typer.Option(help="Address and port for other instances. [COMBY_INTERNAL_LISTEN]")
    ] = None,
    internal_address: Annotated[
        str | None, typer.Option(help="Where other instances reach this one. [COMBY_INTERNAL_ADDRESS]")
    ] = None,
    shutdown_grace: Annotated[float | None, typer.Option(help="Seconds for running commands at the end.")] = None,
    log_level: Annotated[str | None, typer.Option(help="debug, info, warning or error. [COMBY_LOG_LEVEL]")] = None,
    limit: LimitOption = None,
    while_stdin_is_open: Annotated[bool, typer.Option("--while-stdin-is-open", hidden=True)] = False,
) -> None:
    """Serve an app. Every setting is an environment variable too; flags win."""
    given = {
        "app": app,
        "listen": listen,
        "store": store,
        "broker": broker,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "tls_client_ca": tls_client_ca,
        "allow_insecure_public": allow_insecure_public,
        "read_only": read_only,
        "internal_listen": internal_listen,
        "internal_address": internal_address,
        "shutdown_grace": shutdown_grace,
        "log_level": log_level,
    }
    try:
        settings = load_settings(given, _limits(limit or []))
        configure_logs(settings.log_level)
        _tune_process()
        uvloop.run(_serve(settings, while_stdin_is_open=while_stdin_is_open))
    except AddressUnavailable as error:
        _fail(f"{error} can not be listened on: another program does, or it is no address of this machine")
    except (AppNotFound, SettingsRefused) as error:
        _fail(str(error))
    except RegistrationRefused as error:
        _fail(f"the app is refused: {error}")
    except StoreError as error:
        _fail(f"the store can not be opened: {error}")


@root.command()
def dev(
    app: AppOption = None,
    listen: ListenOption = None,
    store: StoreOption = None,
) -> None:
    """Serve an app on this machine only, open to everybody on it, and start it anew whenever its code changes."""
    try:
        settings = load_settings({"app": app, "listen": listen, "store": store})
        if not is_loopback(settings.listen):
            raise SettingsRefused(
                f"comby dev serves this machine only: {settings.listen} can be reached by others; use comby serve"
            )
    except SettingsRefused as error:
        _fail(str(error))
    flags = ["--app", settings.app, "--listen", settings.listen, "--store", settings.store, "--while-stdin-is-open"]
    raise typer.Exit(
        asyncio.run(serve_and_reload([sys.executable, "-m", "comby.server.cli", "serve", *flags], Path.cwd()))
    )


@root.command()
def backup(
    file: Annotated[Path, typer.Argument(help="The file to write.")],
    store: Annotated[str, typer.Option(envvar="COMBY_STORE", help="URL of the store.")] = DEFAULT_STORE,
) -> None:
    """Write a verified copy of a store, also while it is served."""
    try:
        backup_store(store, file)
    except (StoreError, SettingsRefused, OSError) as error:
        _fail(f"no backup was made: {error}")
    typer.echo(f"comby: {shown_store(store)} is backed up in {file}")


@root.command()
def restore(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    store: Annotated[str, typer.Option(envvar="COMBY_STORE", help="URL of the store to write.")] = DEFAULT_STORE,
    force: Annotated[bool, typer.Option("--force", help="Replace a store that exists.")] = False,
) -> None:
    """Make a store from a backup. It is a new incarnation: whoever resumes from the old one is told so."""
    try:
        restore_store(file, store, force=force)
    except (StoreError, SettingsRefused, OSError) as error:
        _fail(f"nothing was restored: {error}")
    typer.echo(f"comby: {shown_store(store)} is restored from {file}")


def add_installed_commands() -> None:
    """Add the commands that other installed wheels bring along."""
    for entry in sorted(entry_points(group=COMMANDS_GROUP), key=lambda one: one.name):
        root.add_typer(entry.load())


async def _serve(settings: Settings, *, while_stdin_is_open: bool) -> None:
    app = load_app(settings.app)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_exit, told)
    if while_stdin_is_open:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end, told)
    async with running(app, settings) as server:
        used = [shown_store(settings.store), *([shown_broker(settings.broker)] if settings.broker else [])]
        typer.echo(f"comby serving {app_name(settings.app)} on {server.address} ({', '.join(used)})")
        sys.stdout.flush()
        await told.wait()


def _stop_or_exit(told: asyncio.Event) -> None:
    """Stop in order at the first signal, and at once at the second."""
    if told.is_set():
        os._exit(INTERRUPTED)
    told.set()


def _stop_at_end(told: asyncio.Event) -> None:
    """Stop in order when whoever started this process is gone, however it went."""
    if not os.read(sys.stdin.fileno(), 1024):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        told.set()


def _tune_process() -> None:
    """Set what belongs to a whole process that serves: both were measured under load, with `make bench`.

    What was imported lives for ever, and what a command leaves behind is freed by counting; so the collector may come
    less often:
    a fifth less processor time a command. And the store's thread gets the interpreter after 1 ms instead of 5, so commits are not held up.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    sys.setswitchinterval(0.001)


def _limits(pairs: list[str]) -> dict[str, str]:
    limits: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise SettingsRefused(f"--limit {pair}: write it as name=value")
        limits[name.replace("-", "_")] = value
    return limits


def _fail(text: str) -> NoReturn:
    typer.echo(f"comby: {text}", err=True)
    raise typer.Exit(1)
