"""What one batch writes: for each table, in order, the statements of `sql/batch/` with the rows that they are run for."""

from collections.abc import Iterator
from typing import TypeAlias

from comby.server.stores.sqlite.statements import folder

Value: TypeAlias = str | bytes | int | None
Row: TypeAlias = tuple[Value, ...] | dict[str, Value]
"""The values of a statement's parameters, in the order in which it names them first; or by their names."""

TABLES = {
    "append_event": "events",
    "close_aggregate": "closed_aggregates",
    "insert_command": "commands",
    "start_command": "commands",
    "finish_command": "commands",
    "cancel_command": "commands",
    "retry_command": "commands",
    "advance_consumer": "consumers",
    "put_waiting": "waiting",
    "join_waiting": "waiting",
    "leave_waiting": "waiting",
    "put_row": "rows",
    "delete_row": "rows",
    "delete_field": "row_fields",
    "put_field": "row_fields",
    "note_stamp": "stamps",
    "count_batch": "log",
}
"""The table of each statement: what is written to different tables may be written in any order."""

MOVES = frozenset({"start_command", "finish_command", "cancel_command", "retry_command", "advance_consumer"})
"""Statements that must change exactly one row each time that they are run."""


class Batch:
    """Collects rows. Those of one table are written in the order in which they were added; neighbours with one statement together."""

    def __init__(self) -> None:
        self._tables: dict[str, list[tuple[str, list[Row]]]] = {}
        self._last: dict[str, list[Row]] = {}  # by statement, where it is the last one of its table

    def __bool__(self) -> bool:
        return bool(self._tables)

    def add(self, statement: str, row: Row) -> None:
        """Add a row to the table of a statement."""
        rows = self._last.get(statement)
        if rows is not None:
            rows.append(row)
            return
        runs = self._tables.setdefault(TABLES[statement], [])
        if runs:
            del self._last[runs[-1][0]]
        rows = self._last[statement] = [row]
        runs.append((statement, rows))

    def __iter__(self) -> Iterator[tuple[str, list[Row]]]:
        for runs in self._tables.values():
            yield from runs


def batch_statements() -> dict[str, str]:
    """Return the statements that write a batch, by name."""
    return dict(folder("batch"))
