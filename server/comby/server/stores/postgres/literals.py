"""Arrays as text, which the database reads: for numbers and texts this costs a tenth of the driver's arrays, which look at each element
several times. Bytes go as the driver's arrays."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from comby.server.stores.postgres.text import escaped_all

Argument: TypeAlias = str | int | Sequence[bytes | None] | None


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[Sequence[Any]]:
    """Transpose rows of a width."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def numbers(values: Iterable[int | bool]) -> str:
    """Return the literal of an array of numbers, or of truths."""
    return f"{{{','.join(map(str, values))}}}"


def optional_numbers(values: Iterable[int | None]) -> str:
    """Return the literal of an array of numbers, of which some are missing."""
    return f"{{{','.join(['null' if value is None else str(value) for value in values])}}}"


def texts(values: Sequence[str]) -> str:
    """Return the literal of an array of texts, which are escaped for the database."""
    return quoted(escaped_all(values))


def quoted(values: Sequence[str]) -> str:
    """Return the literal of an array of texts that are escaped already."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'{{"{joined}"}}'
