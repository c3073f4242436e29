"""Tables: rows are backbones, columns are protocol x metric, a value is mean ± std over seeds.

A table never mixes data: each (data set fingerprint, size) has tables of its own, and a protocol that was run in two
versions or with other values has a column for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pandas

from benchmarks.protocol import list_protocols, load_protocol
from benchmarks.report.results import ExpectedCell, Results, row_key
from benchmarks.report.statistics import Summary, difference, summarise
from scenebench.config import config_hash

METRIC_NAMES = {
    "mAP": "mAP",
    "box_AP": "box AP",
    "box_AP50": "box AP50",
    "box_AP75": "box AP75",
    "mask_AP": "mask AP",
    "mask_AP50": "mask AP50",
    "mask_AP75": "mask AP75",
}
# Notes that belong wherever a method is named.
METHOD_NOTES = {
    "saliency": "The method 'saliency' is a re-implementation from the abstract of arXiv 2302.11461; "
    "its paper's details were not available.",
}


@dataclass(frozen=True)
class Kind:
    """A kind of table: the metrics of ``task`` that start with ``prefix``; ``primary`` ones get a difference column."""

    name: str
    title: str
    task: str
    prefix: str
    primary: tuple[str, ...]


KINDS = (
    Kind("classification", "Multi-label classification", "classification", "", ("mAP", "top1")),
    Kind("detection", "Object detection (boxes)", "detection", "box_", ("box_AP",)),
    Kind("instance_segmentation", "Instance segmentation (masks)", "detection", "mask_", ("mask_AP",)),
    Kind("semantic_segmentation", "Semantic segmentation", "segmentation", "", ("mIoU",)),
)


@dataclass(frozen=True)
class Column:
    """One protocol (in one version, with one set of values) and one metric."""

    protocol: str
    version: int
    hash: str
    metric: str
    title: str
    primary: bool

    @property
    def metric_name(self) -> str:
        """The metric as a table's head says it."""
        return METRIC_NAMES.get(self.metric, clip(self.metric))


@dataclass(frozen=True)
class Cell:
    """One value of a table.

    Attributes:
        state: ``measured``, ``undefined`` (the metric has no value), ``missing``, ``failed`` or ``none`` (not planned).
        summary: over the seeds that were measured.
        planned: number of seeds that were planned.
        delta, delta_spread: difference to the baseline's mean, and its spread.
        best: the highest mean among the backbones (references do not count).
        records: content hashes of the records behind it.
        values: one a record.
        reasons: why seeds are missing.
    """

    state: str
    summary: Summary | None = None
    planned: int = 0
    delta: float | None = None
    delta_spread: float | None = None
    best: bool = False
    records: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A backbone or a reference."""

    label: str
    method: str
    origin: str
    cells: list[Cell]
    is_baseline: bool = False

    @property
    def is_reference(self) -> bool:
        """Whether the row judges no backbone."""
        return self.origin == "reference"


@dataclass(frozen=True)
class Table:
    """One table, in the unit of percent."""

    kind: Kind
    data: str
    fingerprint: str
    size: str
    categories: int
    columns: list[Column]
    rows: list[Row]

    @property
    def name(self) -> str:
        """What tells this table from every other one of the same results, for files and anchors."""
        return f"{self.kind.name}-{self.fingerprint[:8]}-{config_hash([self.data, self.size])[:4]}"


def make_tables(results: Results) -> list[Table]:
    """All tables of ``results``: by data set, then kind; the order of the records does not matter."""
    frame = _frame(results)
    tables = []
    for (data, fingerprint, size), part in frame.groupby(["data", "fingerprint", "size"], sort=True):
        for kind in KINDS:
            # pandas' startswith("") is True everywhere
            chosen = part[(part["task"] == kind.task) & part["metric"].str.startswith(kind.prefix)]
            if len(chosen):
                # Every table of a data set names its shortcut references, also where they have no value.
                elsewhere = part[(part["origin"] == "reference") & ~part["row"].isin(chosen["row"])]
                tables.append(_table(kind, str(data), str(fingerprint), str(size), chosen, elsewhere, results))
    return tables


def clip(text: str, longest: int = 80) -> str:
    """``text`` cut to a length that a table can show; records may hold anything."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _frame(results: Results) -> pandas.DataFrame:
    """One line a record and metric, and one a gap and metric."""
    lines = [
        {
            "data": record.dataset.name,
            "fingerprint": record.dataset.fingerprint,
            "size": record.size,
            "categories": record.dataset.categories,
            "task": record.protocol.task,
            "protocol": record.protocol.id,
            "version": record.protocol.version,
            "hash": record.protocol.hash,
            "label": record.backbone.label,
            "row": row_key(record),
            "method": record.backbone.method,
            "origin": record.backbone.origin,
            "merged": bool(record.protocol.resolved.get("data", {}).get("merge_categories", False)),
            "seed": record.seed,
            "metric": metric,
            "value": value,
            "record": record.content_hash,
            "reason": None,
        }
        for record in results.records
        for metric, value in record.metrics.items()
    ]
    frame = pandas.DataFrame(lines + [line for gap in results.gaps for line in _gap_lines(gap, lines)])
    # Rows of one label that are not of one recipe keep apart, and their names say that they differ.
    variants = frame.groupby("label")["row"].transform("nunique")
    names = frame["label"].map(clip)
    frame["name"] = names.where(variants == 1, names + " [" + frame["row"].str[:4] + "]")
    return frame


def _gap_lines(gap: ExpectedCell, lines: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """A gap as lines; what it does not know (data, version of the protocol) is taken from the suite's other cells."""
    column = next((line for line in lines if line["protocol"] == gap.protocol), None)
    row = next((line for line in lines if line["label"] == gap.label), None)
    anywhere = lines[0] if lines else {"data": "no data yet", "fingerprint": "", "size": "", "categories": 0}
    shared = {key: anywhere[key] for key in ("data", "fingerprint", "size", "categories")}
    for metric in gap.metrics:
        yield shared | {
            "task": gap.task,
            "protocol": gap.protocol,
            "version": column["version"] if column else 0,
            "hash": column["hash"] if column else "",
            "merged": bool(column and column["merged"]),
            "label": gap.label,
            "row": row["row"] if row else gap.label,
            "method": row["method"] if row else "",
            "origin": "reference" if gap.is_reference else (row["origin"] if row else "own"),
            "seed": gap.seed,
            "metric": metric,
            "value": None,
            "record": None,
            "reason": gap.reason,
        }


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
    rows = []
    for key in _row_keys(frame, results):
        mine = frame[frame["row"] == key]
        first = mine.iloc[0]
        is_reference = first["origin"] == "reference"
        cells = []
        for column in columns:
            is_column = (mine["protocol"] == column.protocol) & (mine["hash"] == column.hash)
            lines = mine[is_column & (mine["metric"] == column.metric)].sort_values(["seed", "record"])
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


def _cell(lines: pandas.DataFrame, planned: bool, is_reference: bool) -> Cell:
    """One cell from the lines of its seeds. Nothing there: not planned, or, where no plan is known, missing."""
    if not len(lines):
        return Cell("none" if planned or is_reference else "missing")
    measured = lines[lines["record"].notna()]
    values = tuple(float(value) for value in measured["value"].dropna())
    reasons = tuple(dict.fromkeys(str(reason) for reason in lines["reason"].dropna()))
    if values:
        state = "measured"
    elif len(measured):
        state = "undefined"
    else:
        state = "failed" if any(reason.startswith("failed") for reason in reasons) else "missing"
    return Cell(
        state=state,
        summary=summarise(values),
        planned=len(lines),
        records=tuple(str(record) for record in measured["record"]),
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
            cells.append(replace(cell, delta=delta, delta_spread=spread))
        changed.append(replace(row, cells=cells))
    return changed
