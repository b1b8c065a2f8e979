"""The metadata of a call, read in one loop: every comby-* key is known, given once, and well formed, or the call is refused."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from types import MappingProxyType

from comby.server.application.names import TENANT
from comby.server.application.requests import Stage
from comby.server.domain.identity import DEFAULT_TENANT, Version
from comby.server.rpc.errors import InvalidMetadata

REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
DURATION = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?)(s|ms)", re.ASCII)
VERSION = re.compile(r"[0-9]{1,19}", re.ASCII)
TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
PRINTABLE = re.compile(r"[ -~]{1,128}")
TOKEN = re.compile(r"[!-~]{1,256}")
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
LAST_VERSION = 2**63 - 1
"""The highest version that every store can hold."""
STAGES = MappingProxyType({stage.value: stage for stage in (Stage.ACCEPTED, Stage.EXECUTED, Stage.PROJECTED)})
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PREFIX = "comby-"


class Keys(Enum):
    """Which keys mean something to a method besides those that every method takes."""

    COMMON = "common"
    COMMAND = "command"
    QUERY = "query"
    ANY = "any"
    """All mean nothing and are taken: tools such as grpcurl send the metadata of the call that they prepare to reflection too."""


@dataclass(slots=True)
class CallMetadata:
    """What a call's metadata say. Times are microseconds since 1970 in UTC, `wait_timeout` is in seconds.

    `command_key` and `query_key` name a key that was given and that only a command, or only a query, takes.
    """

    tenant_id: str = DEFAULT_TENANT
    request_id: str = ""
    wait: Stage | None = None
    wait_timeout: float | None = None
    expected_version: Version | None = None
    not_before: int | None = None
    token: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    traceparent: str = ""
    retried: bool = False
    command_key: str = ""
    query_key: str = ""


def read_metadata(pairs: Iterable[tuple[str, str | bytes]], keys: Keys) -> CallMetadata:
    """Read the metadata of a call to a method that takes `keys`. Raises InvalidMetadata, naming the key and never its value."""
    metadata = CallMetadata()
    if keys is Keys.ANY:
        return metadata
    seen: set[str] = set()
    for key, value in pairs:
        reader = READERS.get(key)
        if reader is None:
            if key.startswith(PREFIX):
                raise InvalidMetadata(key)
            if key == "traceparent" and isinstance(value, str) and TRACEPARENT.fullmatch(value):
                metadata.traceparent = value
            elif key == "grpc-previous-rpc-attempts":
                metadata.retried = True
            continue
        if key in seen or not isinstance(value, str):
            raise InvalidMetadata(key)
        seen.add(key)
        try:
            reader(metadata, value)
        except ValueError:
            raise InvalidMetadata(key) from None
    if metadata.command_key and keys is not Keys.COMMAND:
        raise InvalidMetadata(metadata.command_key)
    if metadata.query_key and keys is not Keys.QUERY:
        raise InvalidMetadata(metadata.query_key)
    return metadata


def parse_time(text: str) -> int:
    """Return an RFC 3339 time in microseconds since 1970. Raises ValueError, also for what is outside the years 1 to 9999 in UTC."""
    time = datetime.fromisoformat(_six_digits(_whole(TIME, text).upper()))
    try:
        return (time.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except OverflowError:
        raise ValueError from None


def _six_digits(text: str) -> str:
    """Cut a fraction of a second to the microseconds that a datetime can hold."""
    return re.sub(r"(\.[0-9]{1,6})[0-9]*", r"\1", text)


def _whole(pattern: re.Pattern[str], value: str) -> str:
    if pattern.fullmatch(value) is None:
        raise ValueError
    return value


def _tenant(metadata: CallMetadata, value: str) -> None:
    metadata.tenant_id = _whole(TENANT, value)


def _request_id(metadata: CallMetadata, value: str) -> None:
    metadata.request_id = _whole(REQUEST_ID, value)


def _wait(metadata: CallMetadata, value: str) -> None:
    metadata.command_key = "comby-wait"
    stage = STAGES.get(value)
    if stage is None:
        raise ValueError
    metadata.wait = stage


def _wait_timeout(metadata: CallMetadata, value: str) -> None:
    metadata.command_key = "comby-wait-timeout"
    match = DURATION.fullmatch(value)
    if match is None:
        raise ValueError
    metadata.wait_timeout = float(match[1]) if match[2] == "s" else float(match[1]) / 1000


def _expected_version(metadata: CallMetadata, value: str) -> None:
    metadata.command_key = "comby-expected-version"
    version = int(_whole(VERSION, value))
    if version > LAST_VERSION:
        raise ValueError
    metadata.expected_version = Version(version)


def _not_before(metadata: CallMetadata, value: str) -> None:
    metadata.command_key = "comby-not-before"
    metadata.not_before = parse_time(value)


def _retry(metadata: CallMetadata, value: str) -> None:
    if value not in ("true", "false"):
        raise ValueError
    metadata.retried = metadata.retried or value == "true"


def _token(metadata: CallMetadata, value: str) -> None:
    metadata.query_key = "comby-consistency-token"
    metadata.token = _whole(TOKEN, value)


def _correlation_id(metadata: CallMetadata, value: str) -> None:
    metadata.correlation_id = _whole(PRINTABLE, value)


def _causation_id(metadata: CallMetadata, value: str) -> None:
    metadata.causation_id = _whole(PRINTABLE, value)


READERS: Mapping[str, Callable[[CallMetadata, str], None]] = MappingProxyType(
    {
        "comby-tenant-id": _tenant,
        "comby-request-id": _request_id,
        "comby-wait": _wait,
        "comby-wait-timeout": _wait_timeout,
        "comby-expected-version": _expected_version,
        "comby-not-before": _not_before,
        "comby-retry": _retry,
        "comby-consistency-token": _token,
        "comby-correlation-id": _correlation_id,
        "comby-causation-id": _causation_id,
    }
)
