"""A paper's table as it is drawn: published beside measured, the differences to baselines, and its values as CSV."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from benchmarks.published.values import PublishedValue
from benchmarks.report.csv_values import setting_of, to_csv, values_of
from benchmarks.report.escaping import one_line
from benchmarks.report.latex import NEEDS_SCALED, latex_lines
from benchmarks.report.markdown import to_markdown
from benchmarks.report.paper_baselines import published_difference
from benchmarks.report.paper_result import Group, PaperResult
from benchmarks.report.table import Cell, Column, Footnotes, Measured, Row, Table, difference_text, signed, value_text

ORIGIN_MARKS = {"own": "", "copied": "c", "reproduced": "r", "unknown": "?"}
ORIGIN_WORDS = {
    "copied": "(c) copied by the paper from an earlier one",
    "reproduced": "(r) an earlier method, run by the paper's authors",
    "unknown": "(?) the paper does not say who ran it",
}


def paper_to_markdown(result: PaperResult) -> str:
    """Title, the table, the differences to baselines, and notes."""
    differences = difference_table(result)
    parts = [to_markdown(value_table(result), level=2)]
    if differences:
        parts.append(to_markdown(replace(differences, title="Differences to the baseline")))
    return "\n".join(parts)


def paper_to_latex(result: PaperResult) -> str:
    """One environment for the values, and one for the differences to baselines."""
    tables = filter(None, (value_table(result), difference_table(result)))
    return "\n".join([NEEDS_SCALED, *(line for table in tables for line in latex_lines(table, is_scaled=True))]) + "\n"


def value_table(result: PaperResult) -> Table:
    """Published | measured | difference, then the groups apart; marks are numbered in reading order."""
    footnotes = Footnotes()
    names = [column.title for column in result.layout.columns]
    first, *apart = result.groups
    is_measured = any(cell.state not in ("missing", "none") for line in first.cells for cell in line)
    columns = [Column(name, is_text=True) for name in ("method", "data", "epochs")]
    if names:
        columns += [Column(name, "published") for name in names]
        columns += [Column(name, "measured") for name in (names if is_measured else ["all columns"])]
        columns += [Column(name, "measured − published") for name in names if is_measured]
    for group in apart:
        columns += [Column(c.name, f"apart: {group.title}", setting=c.setting) for c in group.columns]
    rows = []
    for place, row in enumerate(result.rows):
        cells = [Cell(row.label), Cell(row.data), Cell("" if row.epochs is None else str(row.epochs))]
        if names:
            cells += [_published_cell(result, place, column, footnotes) for column in range(len(names))]
        if names and is_measured:
            cells += [_measured_cell(cell, footnotes) for cell in first.cells[place]]
            cells += [_difference_cell(result, place, column) for column in range(len(names))]
        elif names:
            cells.append(Cell("missing"))
        cells += [_measured_cell(cell, footnotes) for group in apart for cell in group.cells[place]]
        rows.append(replace(row, cells=tuple(cells)))
    return Table(result.layout.title, tuple(columns), tuple(rows), tuple(_notes(result, footnotes)))


def difference_table(result: PaperResult) -> Table | None:
    """Differences to the matched baseline, published beside measured, one line each; None where there are none."""
    columns = [Column(name, is_text=True) for name in ("method", "baseline", "column")]
    columns += [Column(n, "difference") for n in ("published", "measured", "95 % interval", "Welch p", "runs")]
    rows = []
    for group, place, column in _differences(result):
        cell = group.cells[place][column] if group else None
        title = result.layout.columns[column].title if group is None else _column_title(group, column)
        published = published_difference(result, place, column) if group is None or group.is_comparable else None
        texts = [result.rows[place].label, result.rows[place].baseline, title]
        texts += ["" if published is None else signed(published), *_difference_texts(cell)]
        rows.append(Row(cells=tuple(map(Cell, texts))))
    notes = [
        "Differences to the row's baseline of the same data and epochs. Interval: percentile bootstrap over runs, too "
        "narrow with two or three; Welch: two-sided test of equal means. Single runs have neither."
    ]
    title = f"{result.layout.title}: differences to the baseline"
    return Table(title, tuple(columns), tuple(rows), tuple(notes)) if rows else None


def _differences(result: PaperResult) -> Iterator[tuple[Group | None, int, int]]:
    """(group, row, column) of every difference; group None: it is published and nothing was measured beside it."""
    measured, *apart = result.groups
    for place in range(len(result.rows)):
        for column in range(len(result.layout.columns)):
            if measured.cells[place][column].delta is not None:
                yield measured, place, column
            elif published_difference(result, place, column) is not None:
                yield None, place, column
        for group in apart:
            for column in range(len(group.columns)):
                if group.cells[place][column].delta is not None:
                    yield group, place, column


def _column_title(group: Group, column: int) -> str:
    title = group.columns[column].name
    return title if group.is_comparable else f"{title} (apart: {group.title})"


def _difference_texts(cell: Measured | None) -> list[str]:
    if cell is None or cell.delta is None:
        return ["missing", "", "", ""]
    interval = "" if cell.interval is None else f"[{signed(cell.interval[0])}, {signed(cell.interval[1])}]"
    p = "" if cell.welch_p is None else ("< 0.001" if cell.welch_p < 0.001 else f"{cell.welch_p:.3f}")
    return [difference_text(cell), interval, p, str(len(cell.values))]


def _measured_cell(cell: Measured, footnotes: Footnotes) -> Cell:
    return Cell(value_text(cell, planned=False), cell, "bold" if cell.best else "", footnotes.mark(cell.reasons))


def _published_cell(result: PaperResult, place: int, column: int, footnotes: Footnotes) -> Cell:
    value = result.published[place][column]
    if value is None:
        return Cell("–")
    origin = ORIGIN_MARKS[value.origin]
    text = signed(value.value) if result.layout.gains else f"{value.value:.1f}"
    text += f" ({origin})" if origin else ""
    is_best = value.value == result.best[column]
    return Cell(text, value.value, "bold" if is_best else "", footnotes.mark(value.notes))


def _difference_cell(result: PaperResult, place: int, column: int) -> Cell:
    found = result.difference(place, column)
    return Cell("–" if found is None else signed(found), found)


def _notes(result: PaperResult, footnotes: Footnotes) -> list[str]:
    values = _published_values(result)
    notes = []
    if values:
        notes.append(f"Published: {values[0].source.rpartition(', ')[0]}. Unmarked: the paper's own method.")
        notes += [ORIGIN_WORDS[name] + "." for name in ORIGIN_WORDS if any(v.origin == name for v in values)]
    notes.append("Measured: mean ± standard deviation over runs (number of runs). Bold: the highest of the column.")
    if result.layout.columns:
        notes.append(f"Measured stands beside published only on {_data_words(result)}, at size paper.")
    for group in result.groups[1:]:
        notes.append(
            f"Apart, not comparable with the published values: {'; '.join(group.reasons)}; {_protocols(group)}."
        )
    for group in result.groups[:1]:
        if any(column.setting for column in group.columns):
            prints = sorted({f"{c.setting.data} {c.setting.fingerprint}" for c in group.columns if c.setting})
            notes.append(f"Measured on {', '.join(prints)}; {_protocols(group)}.")
    if any(row.is_apart for row in result.rows):
        notes.append("In italics, under the rule: rows that are not the paper's.")
    notes += [note[:1].upper() + note[1:] for note in result.notes]
    notes += result.layout.notes
    notes += footnotes.lines()
    return [one_line(note) for note in notes]


def _published_values(result: PaperResult) -> list[PublishedValue]:
    return [value for line in result.published for value in line if value is not None]


def _data_words(result: PaperResult) -> str:
    return ", ".join(dict.fromkeys(f"{c.dataset} ({c.split})" for c in result.layout.columns))


def _protocols(group: Group) -> str:
    found = {f"{c.setting.protocol} v{c.setting.version} ({c.setting.hash})" for c in group.columns if c.setting}
    return "protocols " + ", ".join(sorted(found))


CSV_HEAD = ["table", "row", "data", "epochs", "column", "published", "origin", "origin_basis", "group", "data_set"]
CSV_HEAD += ["fingerprint", "size", "protocol", "version", "protocol_hash", "metric", "state", "mean", "std", "n"]
CSV_HEAD += ["difference", "best", "baseline", "delta", "published_delta", "interval_low", "interval_high", "welch_p"]
CSV_HEAD += ["values", "reasons"]


def paper_to_csv(result: PaperResult) -> str:
    """One line a value with all its digits: every place of the paper's columns, and what was measured apart."""
    return to_csv(
        CSV_HEAD,
        (
            _csv_line(result, group, place, column)
            for place in range(len(result.rows))
            for group in result.groups
            for column, cell in enumerate(group.cells[place])
            if group.is_comparable or cell.state not in ("none", "missing")
        ),
    )


def _csv_line(result: PaperResult, group: Group, place: int, column: int) -> dict[str, Any]:
    row, where = result.rows[place], group.columns[column]
    line = {
        **setting_of(where.setting),
        **values_of(group.cells[place][column]),
        **{"table": result.layout.name, "row": row.label, "column": where.name, "metric": where.metric},
        "group": "measured" if group.is_comparable else "apart",
        "baseline": row.baseline,
    }
    # What the paper's row was pretrained on is not what stands apart in it.
    if group.is_comparable or row.is_apart:
        line |= {"data": row.data, "epochs": row.epochs}
    published = result.published[place][column] if group.is_comparable else None
    if published:
        line |= {"published": str(published.value), "origin": published.origin, "origin_basis": published.origin_basis}
    if group.is_comparable:
        line["difference"] = result.difference(place, column)
        line["published_delta"] = published_difference(result, place, column)
    return line
