"""Indexed fields as the database holds them: each an entry, name and value in one text, so that one index serves all.

The entries of a field stand together, in the order of their values. What separates can not be in what `text.escaped` returns.
"""

from collections.abc import Mapping

from comby.server.stores.postgres.text import escaped, unescaped

_VALUE = "\x01\x03"
"""Between a name and a value."""
_NEXT = "\x01\x04"
"""Between entries that are put together; and behind every entry of a name, in the order of text."""


def entry(name: str, value: str) -> str:
    """Return the entry of a field."""
    return f"{escaped(name)}{_VALUE}{escaped(value)}"


def entries(fields: Mapping[str, str]) -> list[str]:
    """Return the entries of a row."""
    return [entry(name, value) for name, value in fields.items()]


def joined(fields: Mapping[str, str]) -> str:
    """Return the entries of a row as one text."""
    return _NEXT.join(entries(fields))


def bounds(name: str) -> tuple[str, str]:
    """Return where the entries of a field begin, and where those that follow them do."""
    return f"{escaped(name)}{_VALUE}", f"{escaped(name)}{_NEXT}"


def value_of(found: str) -> str:
    """Return the value of an entry; of an empty text an empty one."""
    return unescaped(found.partition(_VALUE)[2])
