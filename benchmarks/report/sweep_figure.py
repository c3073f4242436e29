"""The curve: a metric against the one number that the rows of a suite sweep, as figure 5 of MLS.

What is swept is read from the recipes in the records. Where the papers print a curve over the same key it is drawn
beside, in a panel of its own: numbers on other data never share an axis with ours.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.published.values import PublishedValue, read_published
from benchmarks.records.collect import row_recipe
from benchmarks.records.record import Record
from benchmarks.report.figures import COLOURS, GREY, house_style, panel_grid, printable, save_figure
from benchmarks.report.metrics import metric_label
from benchmarks.report.table import Row, SuiteTable
from scenebench.config import flatten

LOG_FROM = 10.0
"""Values that span more than this factor stand on a logarithmic axis."""
_MOST_PANELS = 12
_MOST_TICKS = 9
_KEY = re.compile("[a-z][a-z0-9_.]{0,60}")
_LEAST_OF_SEVERAL = 3
"""Two values of one of several keys are a comparison and no curve."""


@dataclass(frozen=True)
class PublishedCurve:
    """Where :mod:`.published` holds a curve: the methods of ``table`` whose names start with ``prefix``.

    ``baseline`` is the (table, method) that the source compares it with; ``metric`` is the one it prints.
    """

    table: str
    prefix: str
    metric: str = "box_AP"
    baseline: tuple[str, str] = ("table6", "MoCo-v2")

    @property
    def symbol(self) -> str:
        """What the source calls the key."""
        return self.prefix.split()[-1].rstrip("=")


PUBLISHED_CURVES = {
    "mls.k": PublishedCurve("table8", "MLS k="),
    "mls.dictionary_size": PublishedCurve("figure5a", "MLS D="),
    "mls.loss_weight": PublishedCurve("figure5b", "MLS lambda="),
}


@dataclass(frozen=True)
class Sweep:
    """Rows that differ in one number: the recipe's ``key``, and value -> label of the row, by rising value."""

    key: str
    rows: dict[float, str]


def draw_curve(
    tables: Sequence[SuiteTable], records: Sequence[Record], folder: Path, name: str = "curve"
) -> list[Path]:
    """Write ``name.png`` and ``name.svg`` of all tables of one data set and size; equal tables give equal bytes.

    Lines join means, bars are one standard deviation over seeds, small dots the seeds; the dashed line is the baseline.
    Where the rows sweep several numbers, one after the other, each has its own files, ``name-mls_k.png``.
    Returns the paths; nothing is drawn where the rows sweep no number.
    """
    files = []
    sweeps = find_sweeps(tables, records)
    for sweep in sweeps:
        panels = [(table, index) for table in tables for index in table.main_columns]
        panels = [(table, index) for table, index in panels if len(_points(table, index, sweep)) > 1]
        if panels:
            end = f"-{sweep.key.replace('.', '_')}" if len(sweeps) > 1 else ""
            with house_style():
                files += save_figure(_draw(panels[: _MOST_PANELS - 1], sweep), folder, f"{name}{end}")
    return files


def find_sweeps(tables: Sequence[SuiteTable], records: Sequence[Record]) -> list[Sweep]:
    """What these tables sweep: the rows of one method differ in one number, or in several of which one at a time.

    The baseline may be apart. Nothing where no method has such rows, or several have.
    """
    recipes = _recipes(tables, records)
    found: list[list[Sweep]] = []
    for method in dict.fromkeys(row.method for row, _ in recipes.values()):
        mine = {label: flat for label, (row, flat) in recipes.items() if row.method == method}
        others = {label: flat for label, flat in mine.items() if not recipes[label][0].is_baseline}
        single = _sweep_of(mine) or _sweep_of(others)
        sweeps = [single] if single else _sweeps_one_at_a_time(mine)
        if sweeps:
            found.append(sweeps)
    return found[0] if len(found) == 1 else []


def _recipes(tables: Sequence[SuiteTable], records: Sequence[Record]) -> dict[str, tuple[Row, dict[str, Any]]]:
    """Of every backbone that was pretrained here and has a record: label -> row and flat recipe."""
    by_hash = {record.content_hash: record for record in records}
    recipes = {}
    for row in (row for table in tables for row in table.rows if row.origin == "own"):
        known = [
            by_hash[name] for index in range(len(row.cells)) for name in row.measured(index).records if name in by_hash
        ]
        if known and row.label not in recipes:
            flat = flatten(row_recipe(known[0]))
            flat.pop("name", None)
            recipes[row.label] = (row, flat)
    return recipes


def _differing(recipes: Mapping[str, dict[str, Any]]) -> list[str]:
    keys = sorted({key for flat in recipes.values() for key in flat})
    return [key for key in keys if len({json.dumps(flat.get(key)) for flat in recipes.values()}) > 1]


def _sweeps_one_at_a_time(recipes: Mapping[str, dict[str, Any]]) -> list[Sweep]:
    """For each key with at least three numbers, the rows that have of all other keys what most rows have.

    Files are named by the key, and a record may hold any: one that is no name is passed over.
    """
    differing = _differing(recipes)
    usual = {
        key: Counter(json.dumps(flat.get(key)) for flat in recipes.values()).most_common(1)[0][0] for key in differing
    }
    sweeps = []
    for key in filter(_KEY.fullmatch, differing):
        others = [(other, value) for other, value in usual.items() if other != key]
        mine = {
            label: flat
            for label, flat in recipes.items()
            if all(json.dumps(flat.get(other)) == value for other, value in others)
        }
        sweep = _sweep_of(mine)
        if sweep is not None and len(sweep.rows) >= _LEAST_OF_SEVERAL:
            sweeps.append(sweep)
    return sweeps


def _sweep_of(recipes: Mapping[str, dict[str, Any]]) -> Sweep | None:
    differing = _differing(recipes)
    if len(differing) != 1:
        return None
    rows: dict[float, str] = {}
    for label, flat in recipes.items():
        value = _number(flat.get(differing[0]))
        if value is None:
            return None
        rows.setdefault(value, label)  # of two rows of one recipe the first
    return Sweep(differing[0], dict(sorted(rows.items())))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # a record may hold an integer of any size
        return None
    return number if math.isfinite(number) else None


def _points(table: SuiteTable, index: int, sweep: Sweep) -> dict[float, Any]:
    """Value -> cell, of the rows that were measured."""
    cells = {row.label: row.measured(index) for row in table.rows}
    found = {value: cells[label] for value, label in sweep.rows.items() if label in cells}
    return {value: cell for value, cell in found.items() if cell.summary is not None}


def _draw(panels: Sequence[tuple[SuiteTable, int]], sweep: Sweep) -> Figure:
    source = PUBLISHED_CURVES.get(sweep.key)
    number = len(panels) + (source is not None)
    caption = _caption(panels[0][0], source is not None)
    figure, axes = panel_grid(number, (3.0, 2.6), caption, margin=(0.0, 0.4))
    for panel, (table, index) in zip(axes, panels, strict=False):
        _draw_panel(panel, table, index, sweep, source.symbol if source else "")
    if source is not None:
        draw_published(axes[-1], source, read_published())
    return figure


def _draw_panel(axes: Any, table: SuiteTable, index: int, sweep: Sweep, symbol: str) -> None:
    column = table.columns[index]
    baseline = next((row for row in table.rows if row.is_baseline and row.measured(index).summary), None)
    if baseline is not None and baseline.measured(index).summary is not None:
        _draw_baseline(axes, baseline.measured(index).summary.mean, baseline.label)  # type: ignore[union-attr]
    points = _points(table, index, sweep)
    for value, cell in points.items():
        if cell.summary.n > 1:
            seeds = [value] * len(cell.values)
            axes.plot(seeds, cell.values, "o", color=COLOURS[0], markersize=2.6, alpha=0.45, mew=0)
    means = [cell.summary.mean for cell in points.values()]
    spreads = [cell.summary.std or 0.0 for cell in points.values()]
    axes.errorbar(
        list(points), means, yerr=spreads, fmt="o-", color=COLOURS[0], markersize=4.5, capsize=2.5, elinewidth=1.2
    )
    _finish(axes, list(points), column.group, column.name)
    axes.set_xlabel(printable(f"{symbol} ({sweep.key})" if symbol else sweep.key)[:48])


def draw_published(axes: Any, source: PublishedCurve, values: Sequence[PublishedValue]) -> None:
    """The published curve in a panel of its own, with the baseline that its source compares it with."""
    mine = [value for value in values if value.table == source.table and value.metric == source.metric]
    points = {
        float(value.method.removeprefix(source.prefix)): value.value
        for value in mine
        if value.method.startswith(source.prefix)
    }
    for value in values:
        if (value.table, value.method) == source.baseline and value.metric == source.metric:
            _draw_baseline(axes, value.value, f"{value.method}, {value.table.replace('table', 'table ')}")
    axes.plot(list(points), list(points.values()), "s-", color=COLOURS[1], markersize=4.5, markerfacecolor="white")
    axes.set_facecolor("#f4f4f4")
    _finish(
        axes,
        list(points),
        f"Published: {mine[0].source} ({mine[0].protocol})",
        metric_label(source.metric),
    )
    axes.set_xlabel(source.symbol)


def _draw_baseline(axes: Any, mean: float, label: str) -> None:
    axes.axhline(mean, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    axes.annotate(
        printable(label)[:32],
        (1.0, mean),
        xycoords=axes.get_yaxis_transform(),
        xytext=(0, 2),
        textcoords="offset points",
        ha="right",
        fontsize=6.5,
        color=GREY,
    )


def _finish(axes: Any, values: Sequence[float], title: str, metric: str) -> None:
    """Scale, ticks at the swept values, words."""
    is_log = min(values) > 0 and max(values) > LOG_FROM * min(values)
    if is_log:
        axes.set_xscale("log")
        axes.minorticks_off()
    span = max(values) - min(values)
    crowded = not is_log and any(b - a < 0.07 * span for a, b in itertools.pairwise(values))
    if len(values) <= _MOST_TICKS and not crowded:
        axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.spines["left"].set_visible(True)
    axes.margins(x=0.08, y=0.15)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title(textwrap.fill(printable(title)[:160], 44, break_on_hyphens=False), loc="left", fontsize=7.5)
    axes.set_ylabel(f"{printable(metric)[:32]} (%)")


def _caption(table: SuiteTable, published: bool) -> str:
    text = f"{table.place}: mean and standard deviation over seeds (small dots: seeds); dashed: the baseline"
    return f"{text}\nshaded: published, on other data; not comparable" if published else text
