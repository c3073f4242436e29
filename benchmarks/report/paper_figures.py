"""Pictures of a paper's table: bars with error bars, cost against quality, and the published curve alone."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.published.values import read_published
from benchmarks.records.record import Record
from benchmarks.report.figures import COLOURS, GREY, house_style, panel_grid, printable, save_figure
from benchmarks.report.paper_result import Group, PaperResult
from benchmarks.report.sweep_figure import PUBLISHED_CURVES, draw_published
from benchmarks.report.table import Measured
from benchmarks.statistics.summary import Summary, summarise

_MOST_PANELS = 12
_MOST_ROWS = 30


def draw_bars(result: PaperResult, folder: Path, name: str) -> list[Path]:
    """Write ``name.png`` and ``name.svg``: a panel a column, a bar a row.

    Published bars are outlines, measured ones are filled, with one standard deviation over runs; what was measured on
    other data has panels of its own. Nothing is drawn of a table without any value.
    """
    printed = [place for place in range(len(result.layout.columns)) if _has_published(result, place)]
    panels: list[tuple[Any, int]] = [("published", place) for place in printed]
    apart = [(group, place) for group in result.groups[1:] for place in range(len(group.columns))]
    panels = [*panels, *((group, place) for group, place in apart if _has_values(group, place))]
    if not panels:
        return []
    with house_style():
        return save_figure(_draw_bars(result, panels[:_MOST_PANELS], len(panels) - _MOST_PANELS), folder, name)


def draw_cost(result: PaperResult, records: Sequence[Record], folder: Path, name: str) -> list[Path]:
    """Write ``name.png`` and ``name.svg``: the first metric of each group against what it cost.

    Cost is images seen in pretraining where rows differ in it, else the wall seconds of the evaluation.
    Nothing is drawn where fewer than two rows were measured.
    """
    by_hash = {record.content_hash: record for record in records}
    panels = []
    for group in result.groups:
        for place in _first_columns(group):
            points = _cost_points(result, group, place, by_hash)
            if len(points) > 1:
                panels.append((group, place, points))
    if not panels:
        return []
    with house_style():
        return save_figure(_draw_cost(panels[:_MOST_PANELS]), folder, name)


def draw_published_curve(key: str, folder: Path, name: str) -> list[Path]:
    """Write ``name.png`` and ``name.svg`` of the curve that the paper prints over ``key`` of the recipe."""
    with house_style():
        figure = Figure(figsize=(3.4, 2.8), layout="constrained")
        draw_published(figure.subplots(), PUBLISHED_CURVES[key], read_published())
        return save_figure(figure, folder, name)


def _has_published(result: PaperResult, place: int) -> bool:
    return any(line[place] is not None for line in result.published)


def _has_values(group: Group, place: int) -> bool:
    return any(line[place].summary is not None for line in group.cells)


def _draw_bars(result: PaperResult, panels: Sequence[tuple[Any, int]], left_out: int) -> Figure:
    rows = min(len(result.rows), _MOST_ROWS)
    counts = ((len(result.rows) - rows, "rows"), (left_out, "panels"))
    words = "outlined: published; filled: measured, mean and standard deviation over runs; axes need not begin at 0"
    words += "".join(f"; {number} further {what} left out" for number, what in counts if number > 0)
    caption = f"{printable(result.layout.title)}\n{words}"
    figure, axes = panel_grid(len(panels), (2.2, 0.8 + 0.26 * rows), caption, margin=(1.9, 0.3), sharey=True)
    for panel, (group, place) in zip(axes, panels, strict=True):
        if group == "published":
            _draw_paper_panel(panel, result, place)
        else:
            _draw_group_panel(panel, group, place)
        _finish_bars(panel, [row.label for row in result.rows[:_MOST_ROWS]])
    return figure


def _draw_paper_panel(axes: Any, result: PaperResult, place: int) -> None:
    column = result.layout.columns[place]
    lows = []
    for number, line in enumerate(result.published[:_MOST_ROWS]):
        value, cell = line[place], result.groups[0].cells[number][place]
        if value is not None:
            axes.barh(number - 0.18, value.value, height=0.32, facecolor="white", edgecolor=GREY)
            lows.append(value.value)
        lows += _draw_measured(axes, number + 0.18, cell)
    _limit(axes, lows)
    axes.set_title(textwrap.fill(printable(column.title), 30), loc="left")
    axes.set_xlabel(f"{printable(column.metric)} on {column.dataset}")


def _draw_group_panel(axes: Any, group: Group, place: int) -> None:
    lows = []
    for number, line in enumerate(group.cells[:_MOST_ROWS]):
        lows += _draw_measured(axes, number, line[place])
    _limit(axes, lows)
    axes.set_facecolor("#f4f4f4")
    axes.set_title(textwrap.fill(printable(group.columns[place].name)[:60], 30, break_on_hyphens=False), loc="left")
    axes.set_xlabel(f"apart: {printable(group.title)[:40]} (%)")


def _draw_measured(axes: Any, height: float, cell: Measured) -> list[float]:
    """One filled bar; returns the lowest value that it shows."""
    if cell.summary is None:
        return []
    axes.barh(
        height, cell.summary.mean, height=0.32, color=COLOURS[0], xerr=cell.summary.std, capsize=2, ecolor="#222222"
    )
    return [cell.summary.mean - (cell.summary.std or 0.0)]


def _limit(axes: Any, lows: Sequence[float]) -> None:
    """Bars do not begin at 0 where that would hide every difference; the axis says where they begin."""
    highs = axes.get_xlim()[1]
    if lows and min(lows) > 0:
        low = min(lows)
        axes.set_xlim(left=max(0.0, math.floor(low - 0.35 * (highs - low) - 0.5)))


def _finish_bars(axes: Any, labels: Sequence[str]) -> None:
    axes.set_yticks(range(len(labels)), [printable(label)[:36] for label in labels])
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.locator_params(axis="x", nbins=5)


def _first_columns(group: Group) -> list[int]:
    """The first column of each protocol that was measured in a group."""
    first: dict[object, int] = {}
    for place, column in enumerate(group.columns):
        if column.setting is not None:
            first.setdefault(column.setting, place)
    return list(first.values())


def _cost_points(
    result: PaperResult, group: Group, place: int, by_hash: Mapping[str, Record]
) -> list[tuple[str, Summary, list[Record]]]:
    """(label, metric, records) of every row that was measured and evaluates a backbone."""
    points = []
    for row, line in zip(result.rows, group.cells, strict=True):
        cell = line[place]
        records = [by_hash[name] for name in cell.records if name in by_hash]
        if cell.summary is not None and records and not row.is_reference:
            points.append((row.label, cell.summary, records))
    return points


def images_seen(record: Record) -> float | None:
    """Images that pretraining saw, all epochs together; None where neither the record nor its recipe says it."""
    backbone = record.backbone
    if backbone.method == "random_init":
        return 0.0
    if backbone.images_seen:
        return float(backbone.images_seen)
    data = backbone.recipe.get("data", {})
    images = data.get("images_per_epoch") if isinstance(data, dict) else None
    if images is None and backbone.dataset_fingerprint == record.dataset.fingerprint:
        images = record.dataset.train_images  # the same data set's training images
    usable = isinstance(images, (int, float)) and not isinstance(images, bool) and backbone.epochs > 0
    return float(images) * backbone.epochs if usable and images is not None else None


def _draw_cost(panels: Sequence[Any]) -> Figure:
    caption = "quality against cost: mean and standard deviation over runs"
    figure, axes = panel_grid(len(panels), (3.1, 2.7), caption)
    for panel, (group, place, points) in zip(axes, panels, strict=True):
        _draw_cost_panel(panel, group, place, points)
    return figure


def _draw_cost_panel(axes: Any, group: Group, place: int, points: Sequence[tuple[str, Summary, list[Record]]]) -> None:
    seen = [[images_seen(record) for record in records] for _, _, records in points]
    known = [costs for costs in seen if None not in costs]
    is_known = len(known) > 1 and len({cost for costs in known for cost in costs}) > 1
    for number, (label, metric, records) in enumerate(points):
        costs = seen[number] if is_known else [record.wall_seconds for record in records]
        if None in costs:
            continue
        cost = summarise([value for value in costs if value is not None])
        if cost is None:
            continue
        colour = COLOURS[number % len(COLOURS)]
        xerr = None if is_known else cost.std
        axes.errorbar(cost.mean, metric.mean, xerr=xerr, yerr=metric.std, fmt="o", color=colour, capsize=2)
        axes.annotate(
            printable(label)[:24],
            (cost.mean, metric.mean),
            xytext=(4, 3),
            textcoords="offset points",
            fontsize=6.5,
            color=colour,
        )
    axes.set_xlabel("images seen in pretraining" if is_known else "seconds of the evaluation")
    axes.set_ylabel(f"{printable(group.columns[place].metric)[:24]} (%)")
    axes.set_title(
        textwrap.fill(printable(f"{group.columns[place].name}; {group.title}")[:80], 40), loc="left", fontsize=7.5
    )
    axes.spines["left"].set_visible(True)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.25, y=0.2)
