"""Tables of records: rows are backbones, columns are protocol x metric, a value is mean ± std over seeds.

A table never mixes data: each (data set fingerprint, size) has tables of its own, and a protocol that was run in two
versions or with other values has a column for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pandas

from benchmarks.protocols.protocol import list_protocols, load_protocol
from benchmarks.records.collect import Results
from benchmarks.report.csv_values import setting_of, to_csv, values_of
from benchmarks.report.escaping import clip, one_line
from benchmarks.report.latex import NEEDS, latex_lines
from benchmarks.report.markdown import markdown_list
from benchmarks.report.measured import compared, measured, with_best
from benchmarks.report.metrics import KINDS, LOWER_IS_BETTER, NO_BEST, Kind, metric_label, metric_order
from benchmarks.report.records_frame import make_frame
from benchmarks.report.table import (
    NOTHING,
    Cell,
    Column,
    Footnotes,
    Measured,
    Row,
    Setting,
    SuiteTable,
    difference_text,
    measured_on,
    value_text,
)

# Notes that belong wherever a method is named.
METHOD_NOTES = {
    "saliency": "The method 'saliency' is a re-implementation from the abstract of arXiv 2302.11461; "
    "its paper's details were not available.",
}
CSV_HEAD = ["data", "fingerprint", "size", "table", "protocol", "version", "protocol_hash", "metric"]
CSV_HEAD += ["row", "method", "origin", "state", "mean", "std", "n", "planned"]
CSV_HEAD += ["delta", "delta_spread", "baseline", "best", "values", "reasons"]
CSV_HEAD += ["welch_p", "interval_low", "interval_high"]
_Numbers = dict[str, dict[Column, Measured]]
"""By key of a row and column."""


def make_tables(results: Results) -> list[SuiteTable]:
    """All tables of ``results``, by data set and then kind; the order of the records does not matter.

    The data set with the most records comes first: a board is about that one, and not about the first in the alphabet.
    """
    frame = make_frame(results)
    tables = []
    groups = list(frame.groupby(["data", "fingerprint", "size"], sort=True))
    for _, part in sorted(groups, key=lambda group: -group[1]["record"].nunique()):
        for kind in KINDS:
            # pandas' startswith("") is True everywhere
            chosen = part[(part["task"] == kind.task) & part["metric"].str.startswith(kind.prefix)]
            if len(chosen):
                # Every table of a data set names its shortcut references, also where they have no value.
                elsewhere = part[(part["origin"] == "reference") & ~part["row"].isin(chosen["row"])]
                tables.append(_table(kind, chosen, elsewhere, results))
    return tables


def _table(kind: Kind, frame: pandas.DataFrame, references: pandas.DataFrame, results: Results) -> SuiteTable:
    columns = _columns(kind, frame, results)
    lines = pandas.concat([frame, references]) if len(references) else frame
    first_of = lines.drop_duplicates("row").set_index("row").to_dict("index")
    rows = {key: _row(first_of[key], results.baseline) for key in _row_keys(lines, results)}
    numbers = _numbers(lines, rows, list(columns.values()), is_planned=bool(results.rows))
    return _drawn(kind, frame.iloc[0].to_dict(), list(columns.values()), rows, numbers)


def _columns(kind: Kind, frame: pandas.DataFrame, results: Results) -> dict[tuple[str, str, str], Column]:
    """By protocol, its hash, and metric."""
    order = {protocol: index for index, protocol in enumerate(results.protocols)}
    keys = frame[["data", "fingerprint", "size", "protocol", "version", "hash", "merged", "metric"]].drop_duplicates()
    variants = keys[["protocol", "hash"]].drop_duplicates()["protocol"].tolist()

    def place(column: Mapping[Any, Any]) -> tuple[Any, ...]:
        known = order.get(column["protocol"], len(order))
        return known, column["protocol"], column["version"], column["hash"], metric_order(column["metric"])

    ordered = sorted(keys.to_dict("records"), key=place)
    columns = {}
    for c in ordered:
        variant = "" if variants.count(c["protocol"]) == 1 else f" [{c['hash'][:4]}]"
        group = _title(c["protocol"]) + (", class-agnostic" if c["merged"] else "") + variant
        setting = Setting(*(c[name] for name in ("data", "fingerprint", "size", "protocol", "version", "hash")))
        columns[c["protocol"], c["hash"], c["metric"]] = Column(
            name=metric_label(c["metric"]),
            group=group,
            metric=c["metric"],
            setting=setting,
            is_main=c["metric"] in kind.main,
        )
    if len({column.group for column in columns.values()}) == 1:  # then the title names it
        columns = {key: replace(column, long_name=column.name) for key, column in columns.items()}
    return columns


@cache
def _title(protocol: str) -> str:
    """What the protocol calls itself; a protocol that this installation does not know goes by its id."""
    return load_protocol(protocol).title if protocol in list_protocols() else clip(protocol)


def _row_keys(frame: pandas.DataFrame, results: Results) -> list[str]:
    order = {label: index for index, label in enumerate(results.rows)}
    rows = frame[["row", "label", "origin"]].drop_duplicates("row")

    def place(row: Mapping[Any, Any]) -> tuple[Any, ...]:
        # Without a suite's order: the baseline, the backbones by name, the references.
        known = order.get(row["label"], len(order))
        return row["origin"] == "reference", known, row["label"] != results.baseline, row["label"], row["row"]

    return [str(row["row"]) for row in sorted(rows.to_dict("records"), key=place)]


def _row(first: Mapping[Any, Any], baseline: str) -> Row:
    is_reference = first["origin"] == "reference"
    return Row(
        label=str(first["name"]),
        method=clip(str(first["method"])),
        origin=str(first["origin"]),
        is_baseline=first["label"] == baseline and not is_reference,
        is_apart=is_reference,
    )


def _numbers(frame: pandas.DataFrame, rows: Mapping[str, Row], columns: Sequence[Column], is_planned: bool) -> _Numbers:
    """Every cell, with its difference to the baseline; nothing there: not planned, or, without a plan, missing."""
    lines_of: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    ordered = frame.sort_values(["seed", "record"])
    names = ("row", "protocol", "hash", "metric", "value", "record", "reason")
    for *place, value, record, reason in zip(*(ordered[name].tolist() for name in names), strict=True):
        lines_of.setdefault(tuple(place), []).append((value, record, reason))
    table: _Numbers = {key: {} for key in rows}
    baseline = next((key for key, row in rows.items() if row.is_baseline), None)
    for column in columns:
        assert column.setting is not None
        where = column.setting.protocol, column.setting.hash, column.metric
        cells = {}
        for key, row in rows.items():
            lines = lines_of.get((key, *where), [])
            cells[key] = _measured(lines) if lines or not (is_planned or row.is_reference) else NOTHING
        if column.metric not in NO_BEST:
            judged = {key: cell for key, cell in cells.items() if not rows[key].is_reference}
            cells |= with_best(judged, lowest=column.metric in LOWER_IS_BETTER)
        for key, cell in cells.items():
            takes_difference = baseline is not None and key != baseline and not rows[key].is_reference
            table[key][column] = compared(cell, cells[baseline]) if takes_difference and baseline else cell
    return table


def _measured(lines: Sequence[tuple[Any, ...]]) -> Measured:
    known = [(value, record) for value, record, _ in lines if isinstance(record, str)]
    values = [None if pandas.isna(value) else float(value) for value, _ in known]
    reasons = [reason for *_, reason in lines if isinstance(reason, str)]
    return measured(values, [record for _, record in known], len(lines), reasons)


def _drawn(
    kind: Kind, first: Mapping[Any, Any], columns: Sequence[Column], rows: Mapping[str, Row], numbers: _Numbers
) -> SuiteTable:
    """The table with its texts: after each main metric a difference, where there is a baseline."""
    baseline = next((row.label for row in rows.values() if row.is_baseline), "")
    footnotes = Footnotes()
    head, lines = [Column("backbone", is_text=True)], []
    for column in columns:
        head.append(column)
        if column.is_main and baseline:
            head.append(Column(f"Δ {baseline}", column.group, f"Δ {baseline}", setting=column.setting))
    for key, row in rows.items():
        cells = [Cell(row.label, row.label)]
        for column in columns:
            cell = numbers[key][column]
            note = "; ".join(cell.reasons)
            cells.append(Cell(value_text(cell), cell, "bold" if cell.best else "", footnotes.mark(cell.reasons), note))
            if column.is_main and baseline:
                cells.append(Cell(difference_text(cell), cell.delta))
        lines.append(replace(row, cells=tuple(cells)))
    data, size = clip(str(first["data"])), clip(str(first["size"]))
    protocols = {column.group for column in columns}
    protocol = f": {protocols.pop()}" if len(protocols) == 1 else ""
    table = SuiteTable(
        title=one_line(f"{kind.title}{protocol}, % on {measured_on(data, size)}"),
        columns=tuple(head),
        rows=tuple(lines),
        kind=kind,
        data=data,
        fingerprint=str(first["fingerprint"]),
        size=size,
        categories=int(first["categories"]),
    )
    return replace(table, notes=(_about(table), *(one_line(note) for note in footnotes.lines(500))))


def _about(table: SuiteTable) -> str:
    """Data and protocols of a table."""
    settings = [column.setting for column in table.columns if column.setting]
    protocols = sorted({(one.protocol, one.version, one.hash) for one in settings})
    versions = "; ".join(f"{clip(name)} v{version} ({clip(digest)})" for name, version, digest in protocols)
    data = f"{table.data}, fingerprint {clip(table.fingerprint)}, {table.categories} categories"
    return one_line(f"Data: {data}. Protocols: {versions}.")


def general_notes(tables: Sequence[SuiteTable]) -> list[str]:
    """How to read the tables; the same for all of them."""
    rows = [row for table in tables for row in table.rows]
    notes = ["Mean ± standard deviation over seeds, (number of seeds). Bold: the highest mean among the backbones."]
    shown = {column.metric for table in tables for column in table.columns}
    notes += [f"{metric}: the lowest is the best." for metric in LOWER_IS_BETTER if metric in shown]
    baselines = sorted({row.label for row in rows if row.is_baseline})
    if baselines:
        names = ", ".join(f"'{name}'" for name in baselines)
        notes.append(f"Δ: difference to the mean of {names}, ± √(s² + s²) of the two standard deviations.")
    notes.append("A difference within its spread, or of single seeds, is no evidence that one method is better.")
    if any(row.is_reference for row in rows):
        notes.append("References (in italics) judge no backbone: they show what shortcuts alone reach on this data.")
        cells = [cell.value for row in rows if row.is_reference for cell in row.cells]
        if any(isinstance(cell, Measured) and cell.state == "none" for cell in cells):
            notes.append("A reference without a value (–) names whole images only: it finds no objects and no regions.")
    methods = {row.method for row in rows}
    return [one_line(note) for note in notes + [METHOD_NOTES[name] for name in sorted(methods & set(METHOD_NOTES))]]


def notes_to_markdown(tables: Sequence[SuiteTable]) -> str:
    """How to read the tables, once for all of them."""
    return "\n".join(["### How to read these tables", "", *markdown_list(general_notes(tables))]) + "\n"


def suite_to_latex(table: SuiteTable) -> str:
    """The table's environment, with all that is needed to read it."""
    noted = replace(table, notes=(*general_notes([table]), *table.notes))
    return "\n".join([NEEDS, *latex_lines(noted)]) + "\n"


def suite_to_csv(tables: Sequence[SuiteTable]) -> str:
    """One line a value with all its digits."""
    return to_csv(
        CSV_HEAD,
        (
            {
                **setting_of(table.columns[place].setting),
                **values_of(row.measured(place)),
                **{"data": table.data, "size": table.size, "table": table.kind.name, "baseline": table.baseline},
                **{"metric": table.columns[place].metric, "row": row.label, "method": row.method, "origin": row.origin},
            }
            for table in tables
            for row in table.rows
            for place in table.measured_columns
            if row.measured(place).state != "none"
        ),
    )
