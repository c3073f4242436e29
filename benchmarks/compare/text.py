"""A comparison as text for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

from benchmarks.compare.compare import Comparison, Difference
from benchmarks.report.aligned_text import aligned_lines
from benchmarks.report.escaping import clip, escape_markdown, one_line
from benchmarks.report.markdown import markdown_lines, markdown_list
from benchmarks.report.metrics import metric_label
from benchmarks.report.table import Table, summary_text, text_table
from benchmarks.statistics.summary import CONFIDENCE

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
    lines = [f"A: {_plain(comparison.a)}", f"B: {_plain(comparison.b)}", "", *aligned_lines(_table(comparison))]
    for title, rows in _lists(comparison):
        lines += ["", f"{title}:", *(f"  {line}" for line in aligned_lines(text_table([], rows)))]
    return "\n".join([*lines, "", *_notes(comparison)]) + "\n"


def to_markdown(comparison: Comparison) -> str:
    """A Markdown table, lists below it."""
    lines = [f"A: {escape_markdown(comparison.a)}  ", f"B: {escape_markdown(comparison.b)}", ""]
    lines += markdown_lines(_table(comparison))
    for title, rows in _lists(comparison):
        lines += ["", f"**{escape_markdown(title)}**", "", *markdown_list([" · ".join(row) for row in rows])]
    return "\n".join([*lines, "", *markdown_list(_notes(comparison))]) + "\n"


def to_json(comparison: Comparison) -> str:
    """Everything, with all digits."""
    return json.dumps(dataclasses.asdict(comparison), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Comparison], str]] = {"text": to_text, "markdown": to_markdown, "json": to_json}


def _table(comparison: Comparison) -> Table:
    return text_table(_HEAD, [_texts(one) for one in comparison.differences])


def _texts(one: Difference) -> list[str]:
    test = f"{one.test}, n = {one.pairs}" if one.pairs and one.test else one.test
    return [
        *map(_plain, (one.row_a, one.row_b, one.protocol, metric_label(one.metric, longest=300))),
        summary_text(one.a, digits=2),
        summary_text(one.b, digits=2),
        f"{one.difference:+.2f}",
        "" if one.interval is None else f"{one.interval[0]:+.2f} to {one.interval[1]:+.2f}",
        test or one.why_none,
        "" if one.p is None else f"{one.p:.3g}",
        "" if one.p_holm is None else f"{one.p_holm:.3g}",
    ]


def _lists(comparison: Comparison) -> list[tuple[str, list[list[str]]]]:
    """(title, rows) of what follows the table; empty ones are left away."""
    warned = {
        (one.protocol, one.metric, one.data, one.size): one.warning for one in comparison.differences if one.warning
    }
    said = [_names(protocol, metric_label(metric), warning) for (protocol, metric, *_), warning in warned.items()]
    lists = [
        ("Nothing can be concluded from", said),
        (
            "Not comparable",
            [_names(one.row_a, one.row_b, one.protocol, one.reason) for one in comparison.not_comparable],
        ),
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
