"""The metadata keys of a call."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from comby.client._stage import Stage, Wait

Metadata: TypeAlias = tuple[tuple[str, str], ...]

RETRY: tuple[str, str] = ("comby-retry", "true")
"""Tells the server that the command may have come before, so that it looks first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ambient:
    """What every call of a `Comby` carries."""

    token: str | None = None
    tenant_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    traceparent: str | None = None

    def metadata(self, tenant_id: str | None = None) -> Iterator[tuple[str, str]]:
        """Yield the keys of every call; `tenant_id` is for this call instead."""
        tenant = tenant_id if tenant_id is not None else self.tenant_id
        if self.token is not None:
            yield "authorization", f"Bearer {self.token}"
        if tenant is not None:
            yield "comby-tenant-id", tenant
        if self.traceparent is not None:
            yield "traceparent", self.traceparent

    def causes(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of typed RPCs only: the generic ones carry them as fields."""
        if self.correlation_id is not None:
            yield "comby-correlation-id", self.correlation_id
        if self.causation_id is not None:
            yield "comby-causation-id", self.causation_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How one command is to be dispatched."""

    request_id: str
    wait: Wait
    wait_timeout: float | None = None
    expected_version: int | None = None
    not_before: datetime | None = None

    def metadata(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of a typed RPC."""
        yield "comby-request-id", self.request_id
        yield "comby-wait", str(Stage(self.wait))
        if self.wait_timeout is not None:
            yield "comby-wait-timeout", seconds(self.wait_timeout)
        if self.expected_version is not None:
            yield "comby-expected-version", str(self.expected_version)
        if self.not_before is not None:
            yield "comby-not-before", rfc3339(self.not_before)


def seconds(value: float) -> str:
    """Return 2.5 as "2.5s", to the millisecond."""
    if value < 0:
        raise ValueError(f"a time-out can not be negative: {value}")
    return f"{value:.3f}".rstrip("0").rstrip(".") + "s"


def rfc3339(moment: datetime) -> str:
    """Return the time in UTC; raises ValueError for a time without a zone, which could mean any."""
    return in_utc(moment).isoformat().replace("+00:00", "Z")


def in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; give one, such as datetime.now(timezone.utc)")
    return moment.astimezone(UTC)
