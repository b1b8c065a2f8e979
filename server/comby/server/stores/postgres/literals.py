"""Arrays as text, which the database reads: for numbers and texts this costs a tenth of the driver's arrays, which look at each element
several times. Bytes go as the driver's arrays."""

from collections.abc import Collection, Iterable, Sequence
from functools import cache
from typing import Any, TypeAlias

from comby.server.stores.postgres.text import ESCAPE, escaped, escaped_all

Argument: TypeAlias = str | int | bytes | Sequence[bytes | None] | None
Record: TypeAlias = tuple[str | int | None, ...]


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
        joined = '","'.join([_in_quotes(value) for value in values])
    return f'{{"{joined}"}}'


def records(rows: Collection[Record], texts: int) -> str:
    """Return the literal of an array of records: so many texts first, which are escaped for the database, then numbers, truths and nulls."""
    literal = _literal(rows, texts)
    marks = 2 * texts * len(rows)
    if (
        "\x00" in literal
        or ESCAPE in literal
        or literal.count("\\") != marks
        or literal.count('"') != marks + 2 * len(rows)
    ):
        literal = _literal([(*map(_quotable, row[:texts]), *row[texts:]) for row in rows], texts)
    return literal


def _literal(rows: Collection[Record], texts: int) -> str:
    if not rows:
        return "{}"
    template = _template(texts, len(next(iter(rows))))
    return f"{{{','.join([template % row for row in rows])}}}"


@cache
def _template(texts: int, width: int) -> str:
    """Return a record in an array: texts are quoted in it, and it is quoted itself."""
    return '"(' + ",".join(['\\"%s\\"'] * texts + ["%s"] * (width - texts)) + ')"'


def _quotable(text: Any) -> str:
    return _in_quotes(_in_quotes(escaped(text)))  # those of the record, and those of the array


def _in_quotes(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
