"""The leaderboard's pictures: bars by task, rank over tasks, cost against quality. Numbers of one data set each.

A picture is drawn for a light ground; :func:`dark` gives it the colours of a dark one.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from benchmarks.records.record import Record
from benchmarks.report.figures import COLOURS, GREY, house_style, panel_grid, printable, save_svg
from benchmarks.report.leaderboard_tables import Panel, column_ranks, panel_groups
from benchmarks.report.table import Row, SuiteTable

_MOST_PANELS = 6
_MOST_ROWS = 12
_MOST_POINTS = 400
_LOG_FROM = 20.0
_INK, _SOFT, _LINE, _GROUND = "#1b1f24", "#59636e", "#d5dae0", "#ffffff"
_DARK = {_INK: "#e6e9ed", _SOFT: "#9aa5b1", _LINE: "#343b44", _GROUND: "#14171b"}
# Okabe and Ito's blue and green are too dark on a dark ground.
_DARK |= {COLOURS[0]: "#56a8ee", COLOURS[2]: "#2fc79a", GREY: "#a0a0a0", "#dddddd": "#343b44", "#555555": "#9aa5b1"}
_RC: dict[Any, Any] = {
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _SOFT,
    "axes.titlecolor": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _LINE,
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "figure.facecolor": _GROUND,
    "axes.facecolor": _GROUND,
}


KINDS = ("bars", "ranks", "cost")


def draw_plots(
    tables: Sequence[SuiteTable], records: Sequence[Record], folder: Path, kinds: Sequence[str] = KINDS
) -> list[Path]:
    """Write ``bars.svg``, ``ranks.svg`` and ``cost.svg`` of every data set and size (further ones are numbered).

    Equal tables give equal bytes. A picture that would show nothing is not drawn. Returns the paths.

    Args:
        kinds: those of :data:`KINDS` that are wanted.
    """
    by_hash = {record.content_hash: record for record in records}
    draw: dict[str, Callable[[Sequence[Panel]], Figure | None]] = {
        "bars": _bars, "ranks": _ranks, "cost": partial(_cost, records=by_hash),
    }  # fmt: skip
    files = []
    with house_style(), matplotlib.rc_context(_RC):
        for suffix, panels in panel_groups(tables):
            drawn = {kind: draw[kind](panels[:_MOST_PANELS]) for kind in kinds}
            files += [save_svg(figure, folder / f"{kind}{suffix}.svg") for kind, figure in drawn.items() if figure]
    return files


def dark(picture: str) -> str:
    """An SVG picture with the colours of a dark ground in place of a light one's."""
    for light, colour in _DARK.items():
        picture = picture.replace(light.lower(), colour).replace(light, colour)
    return picture


def _title(axes: Any, panel: Panel) -> None:
    column = panel[0].columns[panel[1]]
    title = f"{printable(column.group)[:60]}: {printable(column.head)[:24]} (%)"
    axes.set_title(textwrap.fill(title, 26, break_on_hyphens=False), loc="left")


def _bars(panels: Sequence[Panel]) -> Figure:
    number = max(len(_best_rows(panel)) for panel in panels)
    caption = f"{panels[0][0].place}: mean, bars of one standard deviation over seeds, dots: seeds; grey: references"
    figure, axes = panel_grid(len(panels), (3.2, 0.85 + 0.2 * number), caption, colour=_SOFT)
    for each, panel in zip(axes, panels, strict=False):
        rows = _best_rows(panel)
        bars = [(height, row, row.measured(panel[1])) for height, row in enumerate(reversed(rows))]
        drawn = [(height, row, cell.summary.mean) for height, row, cell in bars if cell.summary is not None]
        if drawn:
            heights, shown, means = zip(*drawn, strict=True)
            colours = [GREY if row.is_reference or row.is_baseline else COLOURS[0] for row in shown]
            each.barh(heights, means, height=0.66, color=colours, alpha=0.55)
        spread = [(height, c.summary, c.values) for height, _, c in bars if c.summary is not None and c.summary.n > 1]
        if spread:
            heights, summaries, values = zip(*spread, strict=True)
            ends = {"fmt": "none", "ecolor": _INK, "capsize": 2, "elinewidth": 1}
            each.errorbar([s.mean for s in summaries], heights, xerr=[s.std for s in summaries], **ends)
            seeds = [(value, height) for height, mine in zip(heights, values, strict=True) for value in mine]
            each.plot(*zip(*seeds, strict=True), "o", color=_INK, markersize=1.8, alpha=0.6)
        each.set_yticks(range(len(rows)), [printable(row.label)[:26] for row in reversed(rows)])
        each.set_ylim(len(rows) - number - 0.6, len(rows) - 0.4)
        each.tick_params(axis="y", length=0)
        each.grid(axis="x")
        _title(each, panel)
    return figure


def _best_rows(panel: Panel) -> list[Row]:
    """The best backbones, then as many references as there is room for."""
    table, index = panel
    evaluated = [row for row in table.rows if row.measured(index).summary is not None]
    evaluated.sort(key=lambda row: (row.is_reference, -row.measured(index).summary.mean))  # type: ignore[union-attr]
    return evaluated[:_MOST_ROWS]


def _ranks(panels: Sequence[Panel]) -> Figure | None:
    """One line a backbone that has a rank on every task; the best on the mean of ranks."""
    panels = [(table, index) for table, index in panels if not table.columns[index].warning]
    ranks = [column_ranks(table)[index] for table, index in panels]
    labelled = [
        {table.rows[n].label: rank for n, rank in of.items()} for (table, _), of in zip(panels, ranks, strict=True)
    ]
    shared = [label for label in labelled[0] if all(label in of for of in labelled)] if labelled else []
    if len(panels) < 2 or len(shared) < 2:
        return None
    shared.sort(key=lambda label: sum(of[label].place for of in labelled))
    caption = f"{panels[0][0].place}: rank (1 is best), bars: 95 % of bootstrap resamples of the seeds"
    size = (2.2 + 1.3 * len(panels), 1.0 + 0.24 * min(len(shared), _MOST_ROWS))
    figure, (axes,) = panel_grid(1, size, caption, colour=_SOFT)
    chosen = shared[:_MOST_ROWS]
    for number, label in enumerate(chosen):
        colour, marker = COLOURS[number % len(COLOURS)], "os^Dvp"[number // len(COLOURS) % 6]
        at = np.arange(len(panels)) + 0.05 * (number - (len(chosen) - 1) / 2)
        mine = [of[label] for of in labelled]
        below = [rank.place - (rank.low or rank.place) for rank in mine]
        above = [(rank.high or rank.place) - rank.place for rank in mine]
        spread = np.maximum([below, above], 0)
        name = printable(label)[:26]
        axes.errorbar(
            at, [rank.place for rank in mine], yerr=spread, color=colour, marker=marker, markersize=4, capsize=2,
            linewidth=1, elinewidth=1, label=name,
        )  # fmt: skip
    names = [f"{t.columns[i].group}: {t.columns[i].name}" for t, i in panels]
    axes.set_xticks(range(len(panels)), [textwrap.fill(printable(name)[:60], 16) for name in names])
    axes.invert_yaxis()
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set_ylabel("rank")
    axes.grid(axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=7.5)
    return figure


def _cost(panels: Sequence[Panel], records: dict[str, Record]) -> Figure | None:
    """Images seen in pretraining (epochs, where no record says how many images) against each primary metric."""
    points = [_points_of_cost(panel, records) for panel in panels]
    if not any(len({x for x, *_ in mine}) > 1 for mine in points):
        return None
    methods = list(dict.fromkeys(method for mine in points for *_, method in mine))[: len(COLOURS)]
    caption = f"{panels[0][0].place}: mean and one standard deviation over seeds; each dot is a backbone"
    figure, axes = panel_grid(len(panels), (3.0, 2.3), caption, colour=_SOFT)
    unit = "images seen in pretraining" if _has_images(panels, records) else "epochs of pretraining"
    for each, panel, mine in zip(axes, panels, points, strict=False):
        for method in dict.fromkeys(method for *_, method in mine[:_MOST_POINTS]):
            colour = COLOURS[methods.index(method)] if method in methods else GREY
            xs, means, spreads = zip(*(rest for *rest, name in mine[:_MOST_POINTS] if name == method), strict=True)
            each.errorbar(xs, means, yerr=spreads, fmt="o", color=colour, markersize=4, elinewidth=0.8, alpha=0.75)
        seen = [x for x, *_ in mine if x > 0]
        if seen and max(seen) / min(seen) > _LOG_FROM:
            each.set_xscale("symlog", linthresh=min(seen))
        each.set_xlabel(unit)
        each.grid()
        _title(each, panel)
    for method in methods:
        axes[0].plot([], [], "o", color=COLOURS[methods.index(method)], label=printable(method)[:24])
    figure.legend(loc="outside lower center", ncols=6, frameon=False)
    return figure


def _points_of_cost(panel: Panel, records: dict[str, Record]) -> list[tuple[float, float, float, str]]:
    has_images = _has_images([panel], records)
    found = []
    for row in panel[0].rows:
        cell = row.measured(panel[1])
        record = next((records[name] for name in cell.records if name in records), None)
        if cell.summary is not None and record is not None and not row.is_reference:
            seen = record.backbone.images_seen if has_images else record.backbone.epochs
            if seen or row.method == "random_init":
                found.append((float(seen), cell.summary.mean, cell.summary.std or 0.0, row.method))
    return found


def _has_images(panels: Sequence[Panel], records: dict[str, Record]) -> bool:
    named = [name for table, index in panels for row in table.rows for name in row.measured(index).records]
    return any(records[name].backbone.images_seen for name in named if name in records)
