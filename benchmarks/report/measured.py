"""A cell's numbers: from its runs, its difference to the baseline's cell, and which of a column is the best."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from benchmarks.report.table import Measured
from benchmarks.statistics.bootstrap import bootstrap_interval
from benchmarks.statistics.significance import welch_p
from benchmarks.statistics.summary import difference, summarise

_Place = TypeVar("_Place")


def measured(values: Iterable[float | None], records: Sequence[str], planned: int, reasons: Sequence[str]) -> Measured:
    """A cell of what ``records`` say (None: the metric has no value there); ``reasons``: why others are missing."""
    found = tuple(value for value in values if value is not None)
    if found:
        state = "measured"
    elif records:
        state = "undefined"
    else:
        state = "failed" if any(reason.startswith("failed") for reason in reasons) else "missing"
    return Measured(
        state=state,
        summary=summarise(found),
        planned=planned,
        records=tuple(records),
        values=found,
        reasons=tuple(dict.fromkeys(reasons)),
    )


def compared(cell: Measured, base: Measured) -> Measured:
    """``cell`` with its difference to ``base``, where both have a value."""
    if cell.summary is None or base.summary is None:
        return cell
    delta, spread = difference(cell.summary, base.summary)
    p, interval = welch_p(cell.summary, base.summary), bootstrap_interval(cell.values, base.values)
    return replace(cell, delta=delta, delta_spread=spread, welch_p=p, interval=interval)


def with_best(column: Mapping[_Place, Measured], lowest: bool = False) -> dict[_Place, Measured]:
    """Cells of one column, those of the backbones alone, with the best mean marked; nothing where all are equal.

    Args:
        lowest: the best is the lowest, and not the highest.
    """
    means = {place: cell.summary.mean for place, cell in column.items() if cell.summary is not None}
    top = (min if lowest else max)(means.values()) if len(set(means.values())) > 1 else None
    return {place: replace(cell, best=top is not None and means.get(place) == top) for place, cell in column.items()}
