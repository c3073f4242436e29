"""A comparison as text for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence

from benchmarks.compare.compare import Comparison, Difference
from benchmarks.report.escaping import escape_markdown, markdown_line, one_line
from benchmarks.report.table_parts import METRIC_NAMES, clip
from benchmarks.statistics.summary import CONFIDENCE, Summary

_HEAD = [
    "A",
    "B",
    "protocol",
    "metric",
    "A mean",
    "B mean",
    "B - A",
    f"{CONFIDENCE:.0%} interval",
    "test",
    "p",
    "p Holm",
]
_NOTES = (
    "Mean ± standard deviation over seeds (number of seeds), in percent; B - A in percent points.",
    "The interval is a percentile bootstrap, too narrow with two or three seeds; p is two-sided.",
    "Rows of the same seeds are paired over them; others are taken as two independent samples (Welch).",
)


def to_text(comparison: Comparison) -> str:
    """Aligned columns for a terminal."""
    lines = [f"A: {_plain(comparison.a)}", f"B: {_plain(comparison.b)}", ""]
    lines += _aligned([_HEAD, *map(_cells, comparison.differences)])
    for title, rows in _lists(comparison):
        lines += ["", f"{title}:", *(f"  {line}" for line in _aligned(rows))]
    return "\n".join([*lines, "", *_notes(comparison)]) + "\n"


def to_markdown(comparison: Comparison) -> str:
    """A Markdown table, lists below it."""
    lines = [f"A: {escape_markdown(comparison.a)}  ", f"B: {escape_markdown(comparison.b)}", ""]
    lines += _markdown_table(_HEAD, [_cells(one) for one in comparison.differences])
    for title, rows in _lists(comparison):
        lines += ["", f"**{escape_markdown(title)}**", ""]
        lines += [f"- {' · '.join(escape_markdown(cell) for cell in row)}" for row in rows]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in _notes(comparison))]) + "\n"


def to_json(comparison: Comparison) -> str:
    """Everything, with all digits."""
    return json.dumps(dataclasses.asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {"text": to_text, "markdown": to_markdown, "json": to_json}


def _cells(one: Difference) -> list[str]:
    low, high = one.interval or (None, None)
    test = f"{one.test}, n = {one.pairs}" if one.pairs and one.test else one.test
    metric = METRIC_NAMES.get(one.metric, one.metric)
    return [
        *map(_plain, (one.row_a, one.row_b, one.protocol, metric)),
        _summary(one.a),
        _summary(one.b),
        f"{one.difference:+.2f}",
        "" if low is None or high is None else f"{low:+.2f} to {high:+.2f}",
        test or one.why_none,
        "" if one.p is None else f"{one.p:.3g}",
        "" if one.p_holm is None else f"{one.p_holm:.3g}",
    ]


def _summary(summary: Summary) -> str:
    spread = "" if summary.std is None else f" ± {summary.std:.2f}"
    return f"{summary.mean:.2f}{spread} ({summary.n})"


def _lists(comparison: Comparison) -> list[tuple[str, list[list[str]]]]:
    """(title, rows) of what follows the table; empty ones are left away."""
    lists = [
        (
            "Not comparable",
            [_names(one.row_a, one.row_b, one.protocol, one.reason) for one in comparison.not_comparable],
        )
    ]
    for setup in comparison.setups:
        title = f"What differs between {_plain(setup.row_a)} (A) and {_plain(setup.row_b)} (B)"
        lists.append((title, [_names(key.key, key.a, key.b) for key in setup.keys]))
    lists.append(("Only in A", [[_plain(row)] for row in comparison.only_a]))
    lists.append(("Only in B", [[_plain(row)] for row in comparison.only_b]))
    return [(title, rows) for title, rows in lists if rows]


def _notes(comparison: Comparison) -> list[str]:
    tests = sum(one.p is not None for one in comparison.differences)
    corrected = f"p Holm is adjusted for the {tests} tests of this comparison." if tests else "There is no test in it."
    notes = [*_NOTES, corrected]
    if any(setup.keys == [] for setup in comparison.setups):
        notes.append("Where nothing is listed, the records say nothing that differs.")
    return notes


def _names(*words: str) -> list[str]:
    return [_plain(word) for word in words]


def _plain(text: str) -> str:
    """Text of a record, in one line and of bounded length."""
    return one_line(clip(text, 300))


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    escaped = [[escape_markdown(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in escaped) for column in range(len(head))]
    line = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [markdown_line(escaped[0], widths), line, *(markdown_line(row, widths) for row in escaped[1:])]
