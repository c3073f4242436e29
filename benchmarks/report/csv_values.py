"""Values of tables as CSV: one line a value with all its digits, for further computing."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.report.escaping import inert
from benchmarks.report.table import Measured, Setting


def to_csv(head: Sequence[str], lines: Iterable[dict[str, Any]]) -> str:
    """The lines' values in the order of ``head``; what a line lacks is empty, and no text is a formula."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, head, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for line in lines:
        writer.writerow({name: _plain(value) for name, value in line.items()})
    return buffer.getvalue()


def values_of(cell: Measured) -> dict[str, Any]:
    """The columns that every line of a measured value has."""
    low, high = cell.interval or (None, None)
    return {
        "state": cell.state,
        "mean": cell.summary and cell.summary.mean,
        "std": cell.summary and cell.summary.std,
        "n": cell.summary.n if cell.summary else 0,
        "planned": cell.planned,
        "delta": cell.delta,
        "delta_spread": cell.delta_spread,
        "best": int(cell.best),
        "values": " ".join(f"{value:.6f}" for value in cell.values),
        "reasons": "; ".join(cell.reasons),
        "welch_p": cell.welch_p,
        "interval_low": low,
        "interval_high": high,
    }


def setting_of(setting: Setting | None) -> dict[str, Any]:
    """The columns that say on what and how a value was measured."""
    if setting is None:
        return {}
    names = ("data_set", "fingerprint", "size", "protocol", "version", "protocol_hash")
    return dict(zip(names, dataclasses.astuple(setting), strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6f}"
    return inert(value) if isinstance(value, str) else value
