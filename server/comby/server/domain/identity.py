"""The identities and counters that every other room shares."""

import re
from dataclasses import dataclass
from typing import NamedTuple, NewType

Position = NewType("Position", int)
"""A place in the log: from 1, without gaps; 0 is before the first event."""

Version = NewType("Version", int)
"""An aggregate's count of events: from 1, without gaps; 0 means that it does not exist."""

_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

DEFAULT_TENANT = "default"
"""The tenant of a call that names none."""


class AggregateKey(NamedTuple):
    """Which aggregate: two tenants, and two domains, may use the same id. A tuple, because it is hashed many times a
    command."""

    tenant_id: str
    domain: str
    aggregate_id: str


class CommandKey(NamedTuple):
    """Which command: the request id is the caller's, so it counts inside its tenant only."""

    tenant_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log, and which life of it; the incarnation is renewed when positions may have been given twice."""

    log_id: str
    incarnation: str


def is_canonical(id: str) -> bool:
    """Tell whether an id is a UUID as it is stored: 36 characters, lower case."""
    return _CANONICAL.fullmatch(id) is not None


def at_time_of(source: str, made: str) -> str:
    """Return a UUID that was made by name as one of the time of `source`, where that is a UUIDv7 (RFC 9562); else as it is.

    What comes in the order of time stands together in an index: new entries touch few pages of it, random ones one each.
    """
    return f"{source[:13]}-7{made[15:]}" if source[14] == "7" else made
