"""Tables in which each key has one owner."""

from typing import Any

from comby.server.application.contract import descriptor_of
from comby.server.application.refusals import RegistrationRefused


def put_once(table: dict[Any, Any], key: Any, value: Any, what: str) -> None:
    """Put a value under a new key; refuse a second one."""
    if key in table:
        name = descriptor_of(key).full_name if isinstance(key, type) else key
        raise RegistrationRefused(f"two {what}: {name}")
    table[key] = value
