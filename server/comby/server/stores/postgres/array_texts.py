"""Columns of a batch as PostgreSQL reads arrays from text: the driver takes ten times as long to send an array element by element."""

from collections.abc import Callable, Sequence
from typing import Any

from comby.server.stores.postgres.text import ESCAPE, escaped

NUMBER, TEXT, WRITTEN_TEXT, BYTES = "n", "t", "w", "b"
"""What a column holds: integers or booleans; texts; texts that are escaped already; bytes, which stay with the driver. Numbers and escaped
texts may be None."""


def as_arrays(rows: Sequence[tuple[Any, ...]], kinds: str) -> list[Any]:
    """Transpose rows, and return each column as the argument of its kind."""
    if not rows:
        return [() if kind == BYTES else "{}" for kind in kinds]
    return [_ENCODE[kind](column) for kind, column in zip(kinds, zip(*rows, strict=True), strict=True)]


def numbers(column: Sequence[int | None]) -> str:
    """Return an array of integers, or of booleans."""
    text = repr([*column])[1:-1]
    return "{" + (text.replace("None", "NULL") if "None" in text else text) + "}"


def texts(column: Sequence[str]) -> str:
    """Return an array of texts, with U+0000 escaped."""
    joined = '","'.join(column)
    if "\x00" in joined or ESCAPE in joined:
        column = [escaped(text) for text in column]
        joined = '","'.join(column)
    if "\\" in joined or joined.count('"') != 2 * (len(column) - 1):
        joined = '","'.join([text.replace("\\", "\\\\").replace('"', '\\"') for text in column])
    return '{"' + joined + '"}'


def written_texts(column: Sequence[str | None]) -> str:
    """Return an array of texts as they are."""
    quoted = ["NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in column]
    return "{" + ",".join(quoted) + "}"


def _bytes(column: Sequence[bytes | None]) -> Sequence[bytes | None]:
    return column


_ENCODE: dict[str, Callable[[Sequence[Any]], Any]] = {
    NUMBER: numbers,
    TEXT: texts,
    WRITTEN_TEXT: written_texts,
    BYTES: _bytes,
}
