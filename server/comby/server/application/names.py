"""The one grammar of names that become subjects, keys and metadata."""

import re
from typing import Any

from google.protobuf.descriptor import FileDescriptor

from comby.server.application.contract import domain_of
from comby.server.application.refusals import RegistrationRefused
from comby.server.domain.projection import Projection
from comby.server.domain.reactor import Reactor

DOMAIN = re.compile(r"[A-Z][A-Za-z0-9]{0,63}")
CONSUMER = re.compile(r"[a-z][a-z0-9_]{0,63}")
RESERVED = frozenset({"relay"})
"""Names of consumers that comby has itself."""
TENANT = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def check_domain(file: FileDescriptor) -> None:
    """Refuse a file without a domain, or with a name that could not be a subject."""
    name = domain_of(file)
    if not DOMAIN.fullmatch(name):
        raise RegistrationRefused(
            f"{file.name}: option (comby.options.v1.domain) needs a name such as Order, "
            f"a capital letter and then letters and digits; it is {name!r}"
        )


def check_name(consumer: Projection[Any] | Reactor) -> str:
    """Return a projection's or reactor's name; refuse one that is missing or could not be a key."""
    name = getattr(type(consumer), "name", "")
    if not isinstance(name, str) or not CONSUMER.fullmatch(name):
        raise RegistrationRefused(
            f"{type(consumer).__name__} needs a name such as order_board: lower case letters, digits and _"
        )
    if name in RESERVED:
        raise RegistrationRefused(
            f"{type(consumer).__name__} can not be called {name}: comby has a consumer of that name"
        )
    return name
