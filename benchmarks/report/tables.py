"""Tables: rows are backbones, columns are protocol x metric, a value is mean ± std over seeds.

A table never mixes data: each (data set fingerprint, size) has tables of its own, and a protocol that was run in two
versions or with other values has a column for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pandas

from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.records.collect import Results
from benchmarks.report.statistics import bootstrap_interval, difference, summarise, welch
from benchmarks.report.table_frame import make_frame
from benchmarks.report.table_parts import KINDS, METRIC_NAMES, Cell, Column, Kind, Row, Table, clip

_OF_A_CELL = ("value", "record", "reason")
Line = dict[str, Any]
"""What a cell needs of a line of :func:`make_frame`: :data:`_OF_A_CELL`."""


def make_tables(results: Results) -> list[Table]:
    """All tables of ``results``, by data set and then kind; the order of the records does not matter.

    The data set with the most records comes first: a board is about that one, and not about the first in the alphabet.
    """
    frame = make_frame(results)
    tables = []
    groups = list(frame.groupby(["data", "fingerprint", "size"], sort=True))
    for (data, fingerprint, size), part in sorted(groups, key=lambda group: -group[1]["record"].nunique()):
        for kind in KINDS:
            # pandas' startswith("") is True everywhere
            chosen = part[(part["task"] == kind.task) & part["metric"].str.startswith(kind.prefix)]
            if len(chosen):
                # Every table of a data set names its shortcut references, also where they have no value.
                elsewhere = part[(part["origin"] == "reference") & ~part["row"].isin(chosen["row"])]
                tables.append(_table(kind, str(data), str(fingerprint), str(size), chosen, elsewhere, results))
    return tables


def _table(
    kind: Kind,
    data: str,
    fingerprint: str,
    size: str,
    frame: pandas.DataFrame,
    references: pandas.DataFrame,
    results: Results,
) -> Table:
    columns = _columns(kind, frame, results)
    rows = _rows(pandas.concat([frame, references]) if len(references) else frame, columns, results)
    rows = _with_differences(_with_best(rows))
    return Table(
        kind=kind,
        data=clip(data),
        fingerprint=fingerprint,
        size=clip(size),
        categories=int(frame["categories"].iloc[0]),
        columns=columns,
        rows=rows,
    )


def _columns(kind: Kind, frame: pandas.DataFrame, results: Results) -> list[Column]:
    order = {protocol: index for index, protocol in enumerate(results.protocols)}
    keys = frame[["protocol", "version", "hash", "merged", "metric"]].drop_duplicates()
    metric_order = {metric: index for index, metric in enumerate(dict.fromkeys(_metric_order(frame["metric"])))}
    variants = keys[["protocol", "hash"]].drop_duplicates()["protocol"].tolist()

    def place(column: dict[Any, Any]) -> tuple[Any, ...]:
        known = order.get(column["protocol"], len(order))
        return known, column["protocol"], column["version"], column["hash"], metric_order[column["metric"]]

    columns = []
    for c in sorted(keys.to_dict("records"), key=place):
        variant = "" if variants.count(c["protocol"]) == 1 else f" [{c['hash'][:4]}]"
        title = _title(c["protocol"]) + (", class-agnostic" if c["merged"] else "") + variant
        columns.append(Column(c["protocol"], c["version"], c["hash"], c["metric"], title, c["metric"] in kind.primary))
    return columns


@cache
def _title(protocol: str) -> str:
    """What the protocol calls itself; a protocol that this installation does not know goes by its id."""
    return load_protocol(protocol).title if protocol in list_protocols() else clip(protocol)


def _metric_order(metrics: Iterable[str]) -> list[str]:
    """AP before AP50 before AP75, mIoU before mAcc before aAcc; anything else by name."""
    known = [*METRIC_NAMES, "mIoU", "mAcc", "aAcc"]
    return sorted(set(metrics), key=lambda metric: (known.index(metric) if metric in known else len(known), metric))


def _row_keys(frame: pandas.DataFrame, results: Results) -> list[str]:
    order = {label: index for index, label in enumerate(results.rows)}
    rows = frame[["row", "label", "origin"]].drop_duplicates("row")

    def place(row: dict[Any, Any]) -> tuple[Any, ...]:
        # Without a suite's order: the baseline, the backbones by name, the references.
        known = order.get(row["label"], len(order))
        return row["origin"] == "reference", known, row["label"] != results.baseline, row["label"], row["row"]

    return [str(row["row"]) for row in sorted(rows.to_dict("records"), key=place)]


def _rows(frame: pandas.DataFrame, columns: Sequence[Column], results: Results) -> list[Row]:
    lines_of: dict[str, dict[tuple[str, ...], list[Line]]] = {}
    ordered = frame.sort_values(["seed", "record"])
    columns_of = {name: ordered[name].tolist() for name in ("row", "protocol", "hash", "metric")}
    values_of = zip(*(ordered[name].tolist() for name in _OF_A_CELL), strict=True)
    for row, *place, values in zip(*columns_of.values(), values_of, strict=True):
        lines_of.setdefault(row, {}).setdefault(tuple(place), []).append(dict(zip(_OF_A_CELL, values, strict=True)))
    first_of = frame.drop_duplicates("row").set_index("row").to_dict("index")
    rows = []
    for key in _row_keys(frame, results):
        first, mine = first_of[key], lines_of[key]
        is_reference = first["origin"] == "reference"
        cells = []
        for column in columns:
            lines = mine.get((column.protocol, column.hash, column.metric), [])
            cells.append(_cell(lines, planned=bool(results.rows), is_reference=bool(is_reference)))
        rows.append(
            Row(
                label=str(first["name"]),
                method=clip(str(first["method"])),
                origin=str(first["origin"]),
                cells=cells,
                is_baseline=bool(first["label"] == results.baseline) and not is_reference,
            )
        )
    return rows


def _cell(lines: Sequence[Line], planned: bool, is_reference: bool) -> Cell:
    """One cell from the lines of its seeds. Nothing there: not planned, or, where no plan is known, missing."""
    if not lines:
        return Cell("none" if planned or is_reference else "missing")
    measured = [line for line in lines if isinstance(line["record"], str)]
    values = tuple(float(line["value"]) for line in measured if not pandas.isna(line["value"]))
    reasons = tuple(dict.fromkeys(line["reason"] for line in lines if isinstance(line["reason"], str)))
    if values:
        state = "measured"
    elif measured:
        state = "undefined"
    else:
        state = "failed" if any(reason.startswith("failed") for reason in reasons) else "missing"
    return Cell(
        state=state,
        summary=summarise(values),
        planned=len(lines),
        records=tuple(line["record"] for line in measured),
        values=values,
        reasons=reasons,
    )


def _with_best(rows: list[Row]) -> list[Row]:
    best = []
    for position in range(len(rows[0].cells)):
        means = [row.cells[position].summary for row in rows if not row.is_reference]
        found = [summary.mean for summary in means if summary is not None]
        best.append(max(found) if len(set(found)) > 1 else None)
    return [
        replace(
            row,
            cells=[
                replace(cell, best=not row.is_reference and cell.summary is not None and cell.summary.mean == top)
                for cell, top in zip(row.cells, best, strict=True)
            ],
        )
        for row in rows
    ]


def _with_differences(rows: list[Row]) -> list[Row]:
    baseline = next((row for row in rows if row.is_baseline), None)
    if baseline is None:
        return rows
    changed = []
    for row in rows:
        cells = []
        for cell, base in zip(row.cells, baseline.cells, strict=True):
            if row.is_baseline or row.is_reference or cell.summary is None or base.summary is None:
                cells.append(cell)
                continue
            delta, spread = difference(cell.summary, base.summary)
            test = welch(cell.summary, base.summary)
            cells.append(
                replace(
                    cell,
                    delta=delta,
                    delta_spread=spread,
                    welch_p=test.p if test else None,
                    interval=bootstrap_interval(cell.values, base.values),
                )
            )
        changed.append(replace(row, cells=cells))
    return changed
