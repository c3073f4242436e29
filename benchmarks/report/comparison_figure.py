"""The figure: every method on every task, one panel a protocol's primary metric."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.report.figures import COLOURS, GREY, house_style, panel_grid, printable, save_figure
from benchmarks.report.table import Row, SuiteTable

_MOST_PANELS = 12
_MOST_ROWS = 40


def draw_figure(tables: Sequence[SuiteTable], folder: Path, name: str = "comparison") -> list[Path]:
    """Write ``name.png`` and ``name.svg`` of all tables of one data set and size; equal tables give equal bytes.

    Dots are means, bars one standard deviation over seeds, small dots the seeds; the dashed line is the baseline.
    Returns the paths; nothing is drawn where nothing was measured.
    """
    panels = [(table, index) for table in tables for index in table.main_columns]
    panels = [(table, index) for table, index in panels if any(row.measured(index).summary for row in table.rows)]
    if not panels:
        return []
    with house_style():
        return save_figure(_draw(panels, _labels(tables), _styles(tables)), folder, name)


def _draw(panels: Sequence[tuple[SuiteTable, int]], labels: Sequence[str], styles: dict[str, dict[str, Any]]) -> Figure:
    left_out = [f"{n} further {what}" for n, what in _too_many(panels, labels) if n > 0]
    panels, labels = panels[:_MOST_PANELS], labels[:_MOST_ROWS]
    size = (2.05, 0.75 + 0.24 * len(labels))
    caption = "; ".join([_caption(panels[0][0]), *left_out])
    figure, axes = panel_grid(len(panels), size, caption, margin=(2.1, 0.3), sharey=True)
    for each, (table, index) in zip(axes, panels, strict=True):
        _draw_panel(each, table, index, labels, styles)
    return figure


def _too_many(panels: Sequence[object], labels: Sequence[str]) -> list[tuple[int, str]]:
    """What a picture of a readable size leaves to the tables."""
    return [(len(panels) - _MOST_PANELS, "panels left out"), (len(labels) - _MOST_ROWS, "rows left out")]


def _draw_panel(
    axes: Any, table: SuiteTable, index: int, labels: Sequence[str], styles: dict[str, dict[str, Any]]
) -> None:
    column = table.columns[index]
    baseline = next((row.measured(index).summary for row in table.rows if row.is_baseline), None)
    if baseline is not None:
        axes.axvline(baseline.mean, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
    for row in (row for row in table.rows if row.label in labels):
        cell, height = row.measured(index), len(labels) - 1 - labels.index(row.label)
        if cell.summary is None:
            if cell.state in ("failed", "missing", "undefined"):
                axes.text(0.02, height, cell.state, transform=axes.get_yaxis_transform(), va="center", color=GREY)
            continue
        style = styles[row.label]
        if cell.summary.n > 1:
            axes.plot(
                cell.values, [height] * len(cell.values), "o", color=style["color"], markersize=2.6, alpha=0.45, mew=0
            )
        axes.errorbar(
            cell.summary.mean,
            height,
            xerr=cell.summary.std,
            fmt=style["marker"],
            color=style["color"],
            markerfacecolor=style["fill"],
            markersize=5.5,
            capsize=2.5,
            elinewidth=1.2,
        )
    axes.set_yticks(range(len(labels)), [printable(label)[:32] for label in reversed(labels)])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.12)
    axes.locator_params(axis="x", nbins=5)
    axes.set_title(textwrap.fill(printable(column.group)[:60], 30, break_on_hyphens=False), loc="left")
    axes.set_xlabel(f"{printable(column.head)[:32]} (%)")


def _labels(tables: Sequence[SuiteTable]) -> list[str]:
    """Every row of every table once: the backbones in their order, then the references."""
    rows = {row.label: row for table in tables for row in table.rows}
    return sorted(rows, key=lambda label: rows[label].is_reference)


def _styles(tables: Sequence[SuiteTable]) -> dict[str, dict[str, Any]]:
    rows: dict[str, Row] = {row.label: row for table in tables for row in table.rows}
    styles: dict[str, dict[str, Any]] = {}
    coloured = 0
    for label, row in rows.items():
        if row.is_reference or row.is_baseline:
            styles[label] = {"color": GREY, "marker": "D" if row.is_reference else "o", "fill": "white"}
        else:
            styles[label] = {"color": COLOURS[coloured % len(COLOURS)], "marker": "o"}
            styles[label]["fill"] = styles[label]["color"]
            coloured += 1
    return styles


def _caption(table: SuiteTable) -> str:
    signs = "mean and standard deviation over seeds (small dots: seeds); dashed: the baseline; diamonds: references"
    return f"{table.place}: {signs}"
