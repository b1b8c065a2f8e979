"""What every command shares: the options of the connection, running, and one line for an error."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from google.protobuf.message import Message

from comby.client import Comby, CombyError, RetryPolicy, Tls
from comby.client._connect import open_channel
from comby.client._connection import FACADE, Connection, until_ready
from comby.client._metadata import Ambient
from comby.client.cli._json import Printer
from comby.client.cli._reflection import ServerTypes

M = TypeVar("M", bound=Message)
Work = TypeVar("Work", bound=Callable[..., Awaitable[None]])

CALL_TIMEOUT = 30.0  # seconds
READY_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A connected server, and a printer that knows its types."""

    connection: Connection
    comby: Comby
    printer: Printer

    async def call(self, method: str, request: Message, answer: type[M], *, retry: bool = True) -> M:
        """Call an RPC of the FacadeService."""
        return await self.connection.unary(f"{FACADE}{method}", request, answer, retry=retry)

    async def show(self, *messages: Message) -> None:
        """Print each message as JSON, one a line."""
        for message in messages:
            typer.echo(await self.printer.line(message))


def _server(
    *,
    target: Annotated[str, typer.Option(envvar="COMBY_TARGET", help="The server.")] = "127.0.0.1:50051",
    tenant: Annotated[str | None, typer.Option(envvar="COMBY_TENANT", help="The tenant.")] = None,
    token: Annotated[str | None, typer.Option(envvar="COMBY_TOKEN", help="The bearer credential.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Use TLS, with the roots that come with gRPC.")] = False,
    tls_ca: Annotated[Path | None, typer.Option(help="Use TLS; whom to trust, PEM.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="One's own certificate, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key, PEM.")] = None,
) -> AbstractAsyncContextManager[Session]:
    """Return a session by the options that every command has."""
    found = Tls.from_files(root_certificates=tls_ca, certificate=tls_cert, private_key=tls_key)
    secure = tls or tls_ca is not None or tls_cert is not None
    return _session(target, Ambient(token=token, tenant_id=tenant), found if secure else None)


def command(app: typer.Typer, name: str) -> Callable[[Work], Work]:
    """Make a command of an async function: its first parameter is the session, whose options are added."""

    def decorate(work: Work) -> Work:
        shared = inspect.signature(_server).parameters
        own = list(inspect.signature(work).parameters.values())[1:]

        def invoke(**values: object) -> None:
            options = {key: value for key, value in values.items() if key in shared}
            rest = {key: value for key, value in values.items() if key not in shared}
            _run(options, work, rest)

        # Typer reads a command's options from its signature, which is that of both functions together.
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared.values())]
        hints = get_type_hints(work, include_extras=True) | get_type_hints(_server, include_extras=True)
        setattr(invoke, "__signature__", inspect.Signature(parameters))  # noqa: B010  # no static type has it
        invoke.__annotations__ = {p.name: hints[p.name] for p in parameters}
        invoke.__doc__ = work.__doc__
        app.command(name)(invoke)
        return work

    return decorate


@asynccontextmanager
async def _session(target: str, ambient: Ambient, tls: Tls | None) -> AsyncGenerator[Session, None]:
    channel = open_channel(target, tls)
    try:
        await until_ready(channel, target, READY_TIMEOUT)
        connection = Connection(channel=channel, ambient=ambient, retry=RetryPolicy(), timeout=CALL_TIMEOUT)
        yield Session(
            connection=connection,
            comby=Comby(connection),
            printer=Printer(ServerTypes(connection)),
        )
    finally:
        await channel.close()


def _run(options: dict[str, Any], work: Callable[..., Awaitable[None]], values: dict[str, object]) -> None:
    """Run to the end, or end with one line on stderr and exit code 1."""

    async def main() -> None:
        async with _server(**options) as session:
            await work(session, **values)

    try:
        asyncio.run(main())
    except (CombyError, OSError, ValueError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
