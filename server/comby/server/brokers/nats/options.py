"""What a connection to NATS and the stream of events are made from."""

import ssl
from dataclasses import dataclass, field
from pathlib import Path

import nkeys


class OptionsRefused(Exception):
    """Nobody can connect with these; the text tells which file is wrong, and nothing of what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The stream of events. `max_age` is in seconds and `max_bytes` in bytes; 0 keeps everything. One that is not `managed` is made
    by somebody else, and only checked."""

    max_age: float = 7 * 24 * 3600.0
    max_bytes: int = 0
    replicas: int = 1
    managed: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsOptions:
    """Where the servers are, as `host:port`, and who connects. With `tls` a server without it is refused before anything is told to it."""

    servers: tuple[str, ...]
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    credentials: Path | None = None
    nkey: Path | None = None
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    stream: StreamOptions = StreamOptions()


def tls_context(options: NatsOptions) -> ssl.SSLContext | None:
    """Return what certificates are checked and shown with; None for the defaults. Raises OptionsRefused."""
    if not options.tls and options.ca is None and options.certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=options.ca)
    except (ssl.SSLError, OSError):
        raise OptionsRefused(f"{options.ca} holds no certificate") from None
    if options.certificate is not None:
        try:
            context.load_cert_chain(options.certificate, options.key)
        except (ssl.SSLError, OSError):
            raise OptionsRefused(f"{options.certificate} and {options.key} are no certificate and its key") from None
    return context


def check(options: NatsOptions) -> None:
    """See that the files can be used. Raises OptionsRefused."""
    tls_context(options)
    if options.nkey is not None:
        _check_seed(options.nkey, _read(options.nkey).strip())
    if options.credentials is not None:
        lines = [line.strip() for line in _read(options.credentials).splitlines()]
        if not any(b"BEGIN NATS USER JWT" in line for line in lines[:-1]):
            raise OptionsRefused(f"{options.credentials} holds no JWT")
        start = next((number for number, line in enumerate(lines[:-1]) if b"BEGIN USER NKEY SEED" in line), None)
        _check_seed(options.credentials, b"" if start is None else lines[start + 1])


def _check_seed(file: Path, seed: bytes) -> None:
    try:
        nkeys.from_seed(bytearray(seed)).wipe()
    except Exception:  # whatever its parser stumbles over
        raise OptionsRefused(f"{file} holds no seed of an nkey") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        raise OptionsRefused(f"{file} can not be read") from None
