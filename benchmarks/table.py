"""The lines of the table, and the numbers in them: medians of rounds, and ratios of what ran next to each other."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

HEAD = "| what | against | limit | ours | ratio | bar | server CPU µs/op | database CPU µs/op | |\n|---|---|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One measurement: operations per second, and the processor time for one of them, in microseconds."""

    rate: float
    cpu: float | None = None
    database_cpu: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table. `met` is None where there is no bar."""

    what: str
    against: str
    limit: float | None
    ours: float
    ratio: float | None
    bar: str
    cpu: float | None = None
    database_cpu: float | None = None
    met: bool | None = None

    def __str__(self) -> str:
        met = "" if self.met is None else "met" if self.met else "MISSED"
        numbers = (_number(self.limit, 1), _number(self.ours, 1), _number(self.ratio, 2))
        cpus = (_number(self.cpu, 0), _number(self.database_cpu, 0))
        return f"| {' | '.join((self.what, self.against, *numbers, self.bar, *cpus, met))} |"


def compared(what: str, against: str, limits: Sequence[Sample], ours: Sequence[Sample], *, least: float | None) -> Row:
    """Return the line of rounds in which both sides ran next to each other: the ratio is the median of the rounds' ratios."""
    ratio = statistics.median(one.rate / limit.rate for one, limit in zip(ours, limits, strict=True))
    return Row(
        what=what,
        against=against,
        limit=_median(one.rate for one in limits),
        ours=statistics.median(one.rate for one in ours),
        ratio=ratio,
        bar="–" if least is None else f"≥ {least:g}",
        cpu=_median(one.cpu for one in ours),
        database_cpu=_median(one.database_cpu for one in ours),
        met=None if least is None else ratio >= least,
    )


def bounded(what: str, against: str, values: Sequence[float], *, most: float, limits: Sequence[float] = ()) -> Row:
    """Return the line of a value that may be `most`, or `most` times another one, and is better the smaller it is."""
    ours = statistics.median(values)
    ratio = statistics.median(one / limit for one, limit in zip(values, limits, strict=True)) if limits else None
    return Row(
        what=what,
        against=against,
        limit=_median(limits),
        ours=ours,
        ratio=ratio,
        bar=f"≤ {most:g}",
        met=(ours if ratio is None else ratio) <= most,
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return statistics.median(known) if known else None


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:,.{digits}f}"
