"""A paper's table as Markdown and as CSV; :mod:`.paper_latex` writes LaTeX from the same lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks.published.values import PublishedValue
from benchmarks.report.escaping import escape_markdown, inert, markdown_line, one_line
from benchmarks.report.paper_baselines import groups_with_differences, published_difference
from benchmarks.report.paper_parts import Group, PaperResult
from benchmarks.report.table_parts import Cell

ORIGIN_MARKS = {"own": "", "copied": "c", "reproduced": "r", "unknown": "?"}
ORIGIN_WORDS = {
    "copied": "(c) copied by the paper from an earlier one",
    "reproduced": "(r) an earlier method, run by the paper's authors",
    "unknown": "(?) the paper does not say who ran it",
}


@dataclass(frozen=True)
class Field:
    """A body cell before it is written in some language."""

    text: str
    bold: bool = False


@dataclass
class Sheet:
    """The table as text: column groups (title, number of columns), heads, rows of fields, footnotes.

    ``further_from``: place of the first row that is not the paper's.
    """

    groups: list[tuple[str, int]]
    head: list[str]
    rows: list[list[Field]]
    further_from: int
    notes: list[str] = field(default_factory=list)


def number_text(value: float) -> str:
    """A signed number with one decimal, ``+0.4`` or ``−1.2``."""
    return f"{'−' if round(value, 1) < 0 else '+'}{abs(value):.1f}"


def value_sheet(result: PaperResult) -> Sheet:
    """Published | measured | difference, then the groups apart; marks are numbered in reading order."""
    marks: dict[str, int] = {}
    columns = [column.title for column in result.layout.columns]
    measured, *apart = result.groups
    is_measured = any(cell.state != "missing" and cell.state != "none" for line in measured.cells for cell in line)
    groups, head = [("", 3)], ["method", "data", "epochs"]
    if columns:
        groups += [("published", len(columns)), ("measured", len(columns) if is_measured else 1)]
        head += [*columns, *(columns if is_measured else ["all columns"])]
        if is_measured:
            groups.append(("measured − published", len(columns)))
            head += columns
    for group in apart:
        groups.append((f"apart: {group.title}", len(group.columns)))
        head += [column.title for column in group.columns]
    rows = []
    for place, row in enumerate(result.rows):
        line = [Field(row.label), Field(row.data), Field("" if row.epochs is None else str(row.epochs))]
        if columns:
            line += [_published_field(result, place, column, marks) for column in range(len(columns))]
            line += [cell_field(cell, marks) for cell in measured.cells[place]] if is_measured else [Field("missing")]
            if is_measured:
                line += [_difference_field(result, place, column) for column in range(len(columns))]
        for group in apart:
            line += [cell_field(cell, marks) for cell in group.cells[place]]
        rows.append(line)
    further = next((n for n, row in enumerate(result.rows) if not row.is_paper), len(rows))
    return Sheet(groups, head, rows, further, _notes(result, marks))


def difference_sheet(result: PaperResult) -> Sheet | None:
    """Differences to the matched baseline, published beside measured, one line each; None where there are none."""
    head = ["method", "baseline", "column", "published", "measured", "95 % interval", "Welch p", "runs"]
    rows = []
    for group, place, column in _differences(result):
        cell = group.cells[place][column] if group else None
        title = result.layout.columns[column].title if group is None else _column_title(group, column)
        published = published_difference(result, place, column) if group is None or group.is_comparable else None
        line = [result.rows[place].label, result.rows[place].baseline, title]
        line.append("" if published is None else number_text(published))
        line += _difference_texts(cell)
        rows.append([Field(text) for text in line])
    notes = [
        "Differences to the row's baseline of the same data and epochs. Interval: percentile bootstrap over runs, too "
        "narrow with two or three; Welch: two-sided test of equal means. Single runs have neither."
    ]
    return Sheet([("", 3), ("difference", 5)], head, rows, len(rows), notes) if rows else None


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
                if group in groups_with_differences(result) and group.cells[place][column].delta is not None:
                    yield group, place, column


def _column_title(group: Group, column: int) -> str:
    title = group.columns[column].title
    return title if group.is_comparable else f"{title} (apart: {group.title})"


def _difference_texts(cell: Cell | None) -> list[str]:
    if cell is None or cell.delta is None:
        return ["missing", "", "", ""]
    spread = "" if cell.delta_spread is None else f" ± {cell.delta_spread:.1f}"
    interval = "" if cell.interval is None else f"[{number_text(cell.interval[0])}, {number_text(cell.interval[1])}]"
    p = "" if cell.welch_p is None else ("< 0.001" if cell.welch_p < 0.001 else f"{cell.welch_p:.3f}")
    return [number_text(cell.delta) + spread, interval, p, str(len(cell.values))]


def cell_field(cell: Cell, marks: dict[str, int]) -> Field:
    """``40.1 ± 0.2 (3)``, or the word for why there is none, with the marks of its reasons."""
    text = {"none": "–"}.get(cell.state, cell.state)
    if cell.summary is not None:
        spread = "" if cell.summary.std is None else f" ± {cell.summary.std:.1f}"
        text = f"{cell.summary.mean:.1f}{spread} ({cell.summary.n})"
    return Field(text + _marked(cell.reasons, marks), cell.best)


def _published_field(result: PaperResult, place: int, column: int, marks: dict[str, int]) -> Field:
    value = result.published[place][column]
    if value is None:
        return Field("–")
    text = number_text(value.value) if result.layout.gains else f"{value.value:.1f}"
    origin = ORIGIN_MARKS[value.origin]
    return Field(
        text + (f" ({origin})" if origin else "") + _marked(value.notes, marks), value.value == result.best[column]
    )


def _difference_field(result: PaperResult, place: int, column: int) -> Field:
    found = result.difference(place, column)
    return Field("–" if found is None else number_text(found))


def _marked(reasons: tuple[str, ...], marks: dict[str, int]) -> str:
    numbers = [str(marks.setdefault(reason, len(marks) + 1)) for reason in reasons]
    return f" [{','.join(sorted(numbers, key=int))}]" if numbers else ""


def _notes(result: PaperResult, marks: dict[str, int]) -> list[str]:
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
    if any(not row.is_paper for row in result.rows):
        notes.append("In italics, under the rule: rows that are not the paper's.")
    notes += [note[:1].upper() + note[1:] for note in result.notes]
    notes += result.layout.notes
    notes += [f"[{number}] {reason}" for reason, number in sorted(marks.items(), key=lambda item: item[1])]
    return [one_line(note) for note in notes]


def _published_values(result: PaperResult) -> list[PublishedValue]:
    return [value for line in result.published for value in line if value is not None]


def _data_words(result: PaperResult) -> str:
    return ", ".join(dict.fromkeys(f"{c.dataset} ({c.split})" for c in result.layout.columns))


def _protocols(group: Group) -> str:
    found = {f"{c.setting.protocol} v{c.setting.version} ({c.setting.hash})" for c in group.columns if c.setting}
    return "protocols " + ", ".join(sorted(found))


def paper_to_markdown(result: PaperResult) -> str:
    """Title, the table, the differences to baselines, and notes."""
    parts = [f"## {escape_markdown(result.layout.title)}", "", *_markdown_sheet(value_sheet(result))]
    differences = difference_sheet(result)
    if differences:
        parts += ["", "### Differences to the baseline", "", *_markdown_sheet(differences)]
    return "\n".join(parts) + "\n"


def _markdown_sheet(sheet: Sheet) -> list[str]:
    prefixes = [title for title, width in sheet.groups for _ in range(width)]
    head = [f"{title}: {name}" if title else name for title, name in zip(prefixes, sheet.head, strict=True)]
    rows = [[escape_markdown(name) for name in head]]
    for number, line in enumerate(sheet.rows):
        texts = [escape_markdown(f.text) for f in line]
        texts[0] = f"_{texts[0]}_" if number >= sheet.further_from else texts[0]
        rows.append([f"**{text}**" if f.bold else text for text, f in zip(texts, line, strict=True)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = [markdown_line(rows[0], widths), "|" + "|".join("-" * (width + 2) for width in widths) + "|"]
    lines += [markdown_line(row, widths) for row in rows[1:]]
    return [*lines, "", *(f"- {escape_markdown(note)}" for note in sheet.notes)]


CSV_HEAD = ["table", "row", "data", "epochs", "column", "published", "origin", "origin_basis", "group", "data_set"]
CSV_HEAD += ["fingerprint", "size", "protocol", "version", "protocol_hash", "metric", "state", "mean", "std", "n"]
CSV_HEAD += ["difference", "best", "baseline", "delta", "published_delta", "interval_low", "interval_high", "welch_p"]
CSV_HEAD += ["values", "reasons"]


def paper_to_csv(result: PaperResult) -> str:
    """One line a value with all its digits: every place of the paper's columns, and what was measured apart."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(CSV_HEAD)
    for place in range(len(result.rows)):
        for group in result.groups:
            for column, cell in enumerate(group.cells[place]):
                if group.is_comparable or cell.state not in ("none", "missing"):
                    line = _csv_line(result, group, place, column)
                    writer.writerow([inert(value) if isinstance(value, str) else value for value in line])
    return buffer.getvalue()


def _csv_line(result: PaperResult, group: Group, place: int, column: int) -> list[object]:
    row, cell, where = result.rows[place], group.cells[place][column], group.columns[column]
    published = result.published[place][column] if group.is_comparable else None
    line: list[object] = [result.layout.name, row.label]
    # What the paper's row was pretrained on is not what stands apart in it.
    is_known = group.is_comparable or not row.is_paper
    line += [row.data, "" if row.epochs is None else row.epochs] if is_known else ["", ""]
    line.append(where.title)
    line += [published.value, published.origin, published.origin_basis] if published else ["", "", ""]
    setting = where.setting
    line.append("measured" if group.is_comparable else "apart")
    line += [setting.data, setting.fingerprint, setting.size] if setting else ["", "", ""]
    line += [setting.protocol, setting.version, setting.hash] if setting else ["", "", ""]
    summary = cell.summary
    line += [where.metric, cell.state, *_digits(*((summary.mean, summary.std) if summary else (None, None)))]
    line.append(summary.n if summary else 0)
    line += _digits(result.difference(place, column) if group.is_comparable else None)
    line += [int(cell.best), row.baseline]
    low, high = cell.interval or (None, None)
    delta = published_difference(result, place, column) if group.is_comparable else None
    line += _digits(cell.delta, delta, low, high, cell.welch_p)
    line += [" ".join(_digits(*cell.values)), "; ".join(cell.reasons)]
    return line


def _digits(*values: float | None) -> list[str]:
    return ["" if value is None else format(value, ".6f") for value in values]
