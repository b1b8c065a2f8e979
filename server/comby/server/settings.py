"""The settings of a server: from the environment (COMBY_…) and from flags, which win."""

import ast
import inspect
import ipaddress
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, create_model, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from comby.server.application.limits import Limits

PREFIX = "COMBY_"
DEFAULT_LISTEN = "127.0.0.1:50051"
DEFAULT_INTERNAL_LISTEN = "127.0.0.1:0"
DEFAULT_STORE = "sqlite:///comby.db"
MOST_PORT = 65_535
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[^:\s]*):[0-9]{1,5}|unix(-abstract)?:\S+")
_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True)


class SettingsRefused(Exception):
    """The settings can not be served with; the text tells which and why, in one line."""


class Settings(BaseSettings):
    """How one server is run."""

    model_config = _config

    app: str = Field("", description="The app to serve, as `package.module:function`.")
    listen: str = Field(DEFAULT_LISTEN, description="Address and port; port 0 takes a free one.")
    store: str = Field(
        DEFAULT_STORE,
        description="URL of the store: `sqlite:///file.db`, `sqlite://:memory:` for a private one, or `postgresql://user@host/database`.",
    )
    broker: str = Field(
        "",
        description="URL of NATS: `nats://host:4222`, `tls://` to demand TLS, several servers with commas; without it there is no broker.",
    )
    read_only: bool = Field(
        False,
        description="Answer queries and subscriptions, and forward every command to another instance. Needs a store for several instances.",
    )
    internal_listen: str = Field(
        DEFAULT_INTERNAL_LISTEN,
        description="Address and port for the other instances of the same log; port 0 takes a free one. Not used on SQLite.",
    )
    internal_address: str = Field(
        "", description="Host and port at which the other instances reach it; where it listens, when empty."
    )
    internal_tls_certificate: Path | None = Field(
        None, description="The certificate chain that instances show each other, a PEM file."
    )
    internal_tls_key: Path | None = Field(None, description="The key of that certificate, a PEM file.")
    internal_tls_ca: Path | None = Field(
        None, description="The authority that signed the certificates of all instances, a PEM file."
    )
    tls_certificate: Path | None = Field(None, description="The server's certificate chain, a PEM file.")
    tls_key: Path | None = Field(None, description="The key of the certificate, a PEM file.")
    tls_client_ca: Path | None = Field(
        None,
        description="With it every client must show a certificate that this authority signed; its name is the actor of the calls.",
    )
    allow_insecure_public: bool = Field(
        False,
        description="Listen without TLS on addresses that others can reach, such as behind a proxy that ends TLS.",
    )
    shutdown_grace: float = Field(
        8.0, gt=0, le=8.5, description="Seconds for running commands when the server is told to stop."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least level that is logged."
    )
    broker_name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        description="The first token of the subjects and of the stream's name; the app's name when unset.",
    )
    broker_credentials: Path | None = Field(None, description="A credentials file of NATS, with a JWT and its seed.")
    broker_nkey: Path | None = Field(None, description="A file with the seed of an nkey.")
    broker_ca: Path | None = Field(None, description="The authority that signed the broker's certificate, a PEM file.")
    broker_certificate: Path | None = Field(None, description="What comby shows to the broker, a PEM file.")
    broker_key: Path | None = Field(None, description="The key of that certificate, a PEM file.")
    stream_max_age: float = Field(
        7 * 24 * 3600.0, ge=0, description="How long the stream keeps an event; 0 keeps it for ever."
    )
    stream_max_bytes: int = Field(0, ge=0, description="How much the stream keeps; 0 sets no bound.")
    stream_replicas: int = Field(1, ge=1, le=5, description="Servers that keep the stream.")
    stream_history: bool = Field(
        True,
        description="Fill a stream that is new, or lost what it had, with everything that it would still keep; else go on from where the relay stood.",
    )
    stream_managed: bool = Field(
        True, description="Make the stream, and change it to these settings; else it is only checked."
    )
    limits: Limits = Field(default_factory=lambda: limits_from_environment(), exclude=True)

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        _check_address("listen", self.listen)
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs tls_certificate and tls_key")
        internal = (self.internal_tls_certificate, self.internal_tls_key, self.internal_tls_ca)
        if any(internal) and not all(internal):
            raise ValueError("internal_tls_certificate, internal_tls_key and internal_tls_ca go together")
        _check_address("internal_listen", self.internal_listen)
        if not self.internal_address and _is_everywhere(self.internal_listen):
            raise ValueError(
                f"internal_listen: {self.internal_listen} is every address of this machine: set internal_address to the one at which "
                "the other instances reach it"
            )
        if not any(internal) and not self.allow_insecure_public and not is_loopback(self.internal_listen):
            raise ValueError(
                f"{self.internal_listen} can be reached by others: set internal_tls_certificate, internal_tls_key and internal_tls_ca, "
                "or allow_insecure_public to speak in the clear"
            )
        if (self.broker_certificate is None) != (self.broker_key is None):
            raise ValueError("broker_certificate and broker_key go together")
        if self.broker_credentials is not None and self.broker_nkey is not None:
            raise ValueError("give broker_credentials or broker_nkey, not both")
        if 0 < self.stream_max_age < 1:
            raise ValueError("stream_max_age: at least 1 second, or 0")
        if self.broker:
            read_broker(self.broker)
        for file in (self.tls_certificate, self.tls_key, self.tls_client_ca, *internal, *self._broker_files()):
            if file is not None and not file.is_file():
                raise ValueError(f"{file} is not a file")
        _check_certificate("tls", self.tls_certificate, self.tls_key, self.tls_client_ca)
        _check_certificate("internal_tls", *internal)
        if self.tls_certificate is None and not self.allow_insecure_public and not is_loopback(self.listen):
            raise ValueError(
                f"{self.listen} can be reached by others: set tls_certificate and tls_key, or allow_insecure_public to serve it in the clear"
            )
        return self

    def _broker_files(self) -> tuple[Path | None, ...]:
        named = (self.broker_credentials, self.broker_nkey, self.broker_ca, self.broker_certificate, self.broker_key)
        if not self.broker and any(file is not None for file in named):
            raise ValueError("the settings of a broker need broker")
        return named


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerUrl:
    """A broker's URL in parts. `servers` are `host:port`; whoever connects is the same on all of them."""

    servers: tuple[str, ...]
    tls: bool
    user: str | None = None
    password: str | None = None
    token: str | None = None


def read_broker(url: str) -> BrokerUrl:
    """Take a broker's URL apart. Raises ValueError, whose text tells nothing secret."""
    schemes, servers, users = set[str](), list[str](), set[tuple[str | None, str | None]]()
    for one in url.split(","):
        text = f"{next(iter(schemes))}://{one.strip()}" if schemes and "://" not in one else one.strip()
        try:
            parts = urlsplit(text)
            port = parts.port or 4222
        except ValueError:
            raise ValueError("broker: a port is no number between 1 and 65535") from None
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("broker: write it as nats://user:password@host:4222, further servers after commas")
        schemes.add(parts.scheme)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        servers.append(f"{host}:{port}")
        if parts.username is not None:
            users.add((parts.username, parts.password))
    if len(schemes) > 1 or not schemes <= {"nats", "tls"}:
        raise ValueError("broker: all servers need one scheme, nats:// or tls://")
    if len(users) > 1:
        raise ValueError("broker: all servers need the same user")
    user, password = next(iter(users), (None, None))
    tls = "tls" in schemes
    if user is not None and password is None:
        return BrokerUrl(servers=tuple(servers), tls=tls, token=unquote(user))
    return BrokerUrl(
        servers=tuple(servers),
        tls=tls,
        user=None if user is None else unquote(user),
        password=None if password is None else unquote(password),
    )


def load_settings(given: Mapping[str, object], limits: Mapping[str, str] | None = None) -> Settings:
    """Return the settings: what is given (None is not), else the environment, else the defaults. Raises SettingsRefused."""
    try:
        chosen = {name: value for name, value in given.items() if value is not None}
        return Settings(limits=limits_from_environment(limits or {}), **chosen)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsRefused(f"{where}: {text}" if where else text) from None


def limits_from_environment(given: Mapping[str, str] | None = None) -> Limits:
    """Return the limits: what is given, else the environment (`COMBY_PENDING_CALLS`), else the defaults. Raises ValidationError."""
    chosen: dict[str, Any] = dict(given or {})
    read = _limit_settings()(**chosen)
    return Limits(**{one.name: getattr(read, one.name) for one in fields(Limits)})


def is_loopback(listen: str) -> bool:
    """Tell whether an address is reached from this machine only. A name other than localhost may be anything."""
    if listen.startswith(("unix:", "unix-abstract:")):
        return True
    host = listen.rpartition(":")[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_everywhere(listen: str) -> bool:
    """Tell whether an address stands for all of the machine, so that it can not be told to others."""
    host, colon, _ = listen.rpartition(":")
    return bool(colon) and host.strip("[]") in ("", "0.0.0.0", "::")


def _check_address(name: str, address: str) -> None:
    """Raise ValueError for what is no address, and for a port that is none: the transport would take its last 16 bits."""
    port = "" if address.startswith("unix") else address.rpartition(":")[2]
    if not _ADDRESS.fullmatch(address) or (port and int(port) > MOST_PORT):
        raise ValueError(f"{name}: {address!r} is no address; write it as host:port")


def _check_certificate(name: str, certificate: Path | None, key: Path | None, authority: Path | None) -> None:
    """Raise ValueError for files that no TLS can be made of; the transport would only say that the address can not be listened on."""
    if certificate is None or key is None:
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password="")
        if authority is not None:
            context.load_verify_locations(authority)
    except (OSError, ValueError):  # the first is what TLS raises, too
        raise ValueError(
            f"{name}: the files are no certificate with its key, or no authority, in PEM without a password"
        ) from None


def shown_store(url: str) -> str:
    """Return a store's URL as it may be shown: without a password, wherever it stands, and without parameters.

    Of one that is not clear, such as with an `@` or a `/` in the password, only the scheme is shown.
    """
    scheme, slashes, rest = url.partition("://")
    if scheme == "sqlite":
        return url
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    after = rest[len(authority) :]
    if authority.count("@") > 1 or "@" in after:
        return f"{scheme}{slashes}…"
    user, at, place = authority.rpartition("@")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{place}{re.split('[?#]', after, maxsplit=1)[0]}"


def shown_broker(url: str) -> str:
    """Return a broker's URL as it may be shown: without user, password and token."""
    parts = read_broker(url)
    return f"{'tls' if parts.tls else 'nats'}://{','.join(parts.servers)}"


def settings_table() -> str:
    """Return all settings as a table in Markdown, for the documentation."""
    rows = [f"| `{variable}` | {default} | {text} |" for variable, default, text in _rows()]
    return "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows, ""])


def _rows() -> Iterator[tuple[str, str, str]]:
    for model in (Settings, _limit_settings()):
        for name, field in model.model_fields.items():
            if field.exclude:
                continue
            default = "none" if field.default in (None, "") else f"`{str(field.default).lower()}`"
            yield f"{PREFIX}{name.upper()}", default, field.description or ""


@cache
def _limit_settings() -> type[BaseSettings]:
    """Return a settings class with one field for each limit: name, type, default and text are those of the limit itself."""
    texts = _attribute_docs(Limits)
    described = {one.name: (one.type, Field(one.default, gt=0, description=texts[one.name])) for one in fields(Limits)}
    return create_model("LimitSettings", __base__=_LimitSettings, **described)  # type: ignore[call-overload, no-any-return]


class _LimitSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")


def _attribute_docs(cls: type) -> dict[str, str]:
    """Read the texts that stand below the fields of a class."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(before, ast.AnnAssign) and isinstance(before.target, ast.Name) and isinstance(after, ast.Expr):
            texts[before.target.id] = str(ast.literal_eval(after.value))
    return texts
