"""Tables as text: Markdown (which is also what the terminal shows), LaTeX, and CSV with one line a value."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.escaping import escape_latex, escape_markdown, inert, markdown_line, one_line
from benchmarks.report.table_parts import METHOD_NOTES, Cell, Column, Row, Table, clip


@dataclass(frozen=True)
class _Field:
    """A body cell before it is written in some language."""

    text: str
    bold: bool = False


def heading(table: Table) -> str:
    """Title of a table, with the data it was measured on."""
    protocols = {column.title for column in table.columns}
    protocol = f": {protocols.pop()}" if len(protocols) == 1 else ""
    return one_line(f"{table.kind.title}{protocol}, % on {place(table)}")


def place(table: Table) -> str:
    """What a table was measured on."""
    return one_line(f"{table.data}, size {table.size}" if table.size else table.data)


def head(table: Table) -> list[tuple[str, str]]:
    """(protocol, metric) of each printed column: the metrics, and a difference after each primary one."""
    columns: list[tuple[str, str]] = []
    for column in table.columns:
        columns.append((column.title, column.metric_name))
        if _has_difference(table, column):
            columns.append((column.title, f"Δ {baseline_label(table)}"))
    return columns


def baseline_label(table: Table) -> str:
    """Label of the row that differences are taken to, "" where there is none."""
    return next((row.label for row in table.rows if row.is_baseline), "")


def value_text(cell: Cell, marks: dict[str, int] | None = None) -> str:
    """``31.2 ± 0.4 (3)``: mean, standard deviation, number of seeds; or why there is no value.

    Args:
        marks: footnote number by reason, extended here; None writes no marks.
    """
    mark = ""
    if marks is not None and cell.reasons:
        numbers = [str(marks.setdefault(reason, len(marks) + 1)) for reason in cell.reasons]
        mark = f" [{','.join(numbers)}]"
    if cell.summary is None:
        return {"none": "–"}.get(cell.state, cell.state) + mark
    spread = "" if cell.summary.std is None else f" ± {cell.summary.std:.1f}"
    seeds = f"{cell.summary.n}" if cell.summary.n == cell.planned else f"{cell.summary.n} of {cell.planned}"
    return f"{cell.summary.mean:.1f}{spread} ({seeds}){mark}"


def difference_text(cell: Cell) -> str:
    """``+5.1 ± 0.6``: the difference to the baseline and its spread, "" for the baseline itself."""
    if cell.delta is None:
        return ""
    spread = "" if cell.delta_spread is None else f" ± {cell.delta_spread:.1f}"
    sign = "−" if round(cell.delta, 1) < 0 else "+"
    return f"{sign}{abs(cell.delta):.1f}{spread}"


def general_notes(tables: Sequence[Table]) -> list[str]:
    """How to read the tables; the same for all of them."""
    rows = [row for table in tables for row in table.rows]
    notes = ["Mean ± standard deviation over seeds, (number of seeds). Bold: the highest mean among the backbones."]
    baselines = sorted({row.label for row in rows if row.is_baseline})
    if baselines:
        names = ", ".join(f"'{name}'" for name in baselines)
        notes.append(f"Δ: difference to the mean of {names}, ± √(s² + s²) of the two standard deviations.")
    notes.append("A difference within its spread, or of single seeds, is no evidence that one method is better.")
    if any(row.is_reference for row in rows):
        notes.append("References (in italics) judge no backbone: they show what shortcuts alone reach on this data.")
        cells = [cell for row in rows if row.is_reference for cell in row.cells]
        if any(cell.state == "none" for cell in cells):
            notes.append("A reference without a value (–) names whole images only: it finds no objects and no regions.")
    methods = {row.method for row in rows}
    return [one_line(note) for note in notes + [METHOD_NOTES[name] for name in sorted(methods & set(METHOD_NOTES))]]


def own_notes(table: Table, marks: dict[str, int]) -> list[str]:
    """Data and protocols of one table, and why values are missing; ``marks`` as filled by the table's values."""
    protocols = {(c.protocol, c.version, c.hash) for c in table.columns}
    versions = "; ".join(f"{clip(name)} v{version} ({clip(digest)})" for name, version, digest in sorted(protocols))
    data = f"{table.data}, fingerprint {clip(table.fingerprint)}, {table.categories} categories"
    notes = [f"Data: {data}. Protocols: {versions}."]
    notes += [f"[{number}] {clip(reason, 500)}" for reason, number in sorted(marks.items(), key=lambda item: item[1])]
    return [one_line(note) for note in notes]


def to_markdown(table: Table) -> str:
    """A Markdown table with padded columns, its heading and its own notes."""
    marks: dict[str, int] = {}
    is_one = len({column.title for column in table.columns}) == 1  # then the heading names it
    names = [
        metric if is_one or metric.startswith("Δ") else f"{protocol}: {metric}" for protocol, metric in head(table)
    ]
    rows = [["backbone", *map(escape_markdown, names)]]
    for row in table.rows:
        label = f"_{escape_markdown(row.label)}_" if row.is_reference else escape_markdown(row.label)
        cells = [_markdown_field(part) for part in _fields(table, row, marks)]
        rows.append([label, *cells])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [markdown_line(rows[0], widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    lines += [markdown_line(row, widths) for row in rows[1:]]
    notes = [f"- {escape_markdown(note)}" for note in own_notes(table, marks)]
    return "\n".join([f"### {escape_markdown(heading(table))}", "", *lines, "", *notes]) + "\n"


def notes_to_markdown(tables: Sequence[Table]) -> str:
    """How to read the tables, once for all of them."""
    return (
        "\n".join(["### How to read these tables", "", *(f"- {escape_markdown(n)}" for n in general_notes(tables))])
        + "\n"
    )


def to_latex(table: Table) -> str:
    """A ``table`` environment; needs the package booktabs. References stand under a rule."""
    marks: dict[str, int] = {}
    columns = head(table)
    groups: list[tuple[str, int]] = []
    for protocol, _ in columns:
        if groups and groups[-1][0] == protocol:
            groups[-1] = (protocol, groups[-1][1] + 1)
        else:
            groups.append((protocol, 1))
    body = []
    had_reference = False
    for row in table.rows:
        if row.is_reference and not had_reference:
            body.append(r"\midrule")
            had_reference = True
        fields = [_latex_field(part) for part in _fields(table, row, marks)]
        body.append(" & ".join([escape_latex(row.label), *fields]) + r" \\")
    notes = general_notes([table]) + own_notes(table, marks)
    lines = [
        r"% needs \usepackage{booktabs}",
        r"\begin{table}",
        r"\centering\small",
        rf"\caption{{{escape_latex(heading(table))}}}",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}}}",
        r"\toprule",
        " & ".join(["", *(rf"\multicolumn{{{n}}}{{c}}{{{escape_latex(name)}}}" for name, n in groups)]) + r" \\",
        " & ".join(["backbone", *(escape_latex(metric) for _, metric in columns)]) + r" \\",
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip\footnotesize {escape_latex(note)}" for note in notes),
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


CSV_HEAD = ["data", "fingerprint", "size", "table", "protocol", "version", "protocol_hash", "metric"]
CSV_HEAD += ["row", "method", "origin", "state", "mean", "std", "n", "planned"]
CSV_HEAD += ["delta", "delta_spread", "baseline", "best", "values", "reasons"]
CSV_HEAD += ["welch_p", "interval_low", "interval_high"]


def to_csv(tables: Sequence[Table]) -> str:
    """One line a value with all its digits, for further computing."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for table in tables:
        for row in table.rows:
            for column, cell in zip(table.columns, row.cells, strict=True):
                if cell.state != "none":
                    writer.writerow(_csv_line(table, row, column, cell))
    return buffer.getvalue()


def _csv_line(table: Table, row: Row, column: Column, cell: Cell) -> list[object]:
    mean, std, n = (cell.summary.mean, cell.summary.std, cell.summary.n) if cell.summary else (None, None, 0)
    values: list[object] = [table.data, table.fingerprint, table.size, table.kind.name]
    values += [column.protocol, column.version, column.hash, column.metric]
    values += [row.label, row.method, row.origin, cell.state, _number(mean), _number(std), n, cell.planned]
    values += [_number(cell.delta), _number(cell.delta_spread), baseline_label(table), int(cell.best)]
    values += [" ".join(_number(value) for value in cell.values), "; ".join(cell.reasons)]
    low, high = cell.interval or (None, None)
    values += [_number(cell.welch_p), _number(low), _number(high)]
    return [inert(value) if isinstance(value, str) else value for value in values]


def _markdown_field(part: _Field) -> str:
    return f"**{escape_markdown(part.text)}**" if part.bold else escape_markdown(part.text)


def _latex_field(part: _Field) -> str:
    return rf"\textbf{{{escape_latex(part.text)}}}" if part.bold else escape_latex(part.text)


def _number(value: float | None) -> str:
    return "" if value is None else format(value, ".6f")


def _has_difference(table: Table, column: Column) -> bool:
    return column.primary and bool(baseline_label(table))


def _fields(table: Table, row: Row, marks: dict[str, int]) -> list[_Field]:
    fields = []
    for column, cell in zip(table.columns, row.cells, strict=True):
        fields.append(_Field(value_text(cell, marks), cell.best))
        if _has_difference(table, column):
            fields.append(_Field(difference_text(cell)))
    return fields
