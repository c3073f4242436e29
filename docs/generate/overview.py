"""Two pictures that say it at a glance: what each column can tell, and what each method gains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.report.figures import COLOURS, GREY, house_style, panel_grid, printable, save_svg
from benchmarks.statistics.significance import PairedTest

RANGES, GAINS = "ranges.svg", "gains.svg"
_LOW, _HIGH, _METHODS = GREY, COLOURS[2], COLOURS[0]
_ROW = 0.24


@dataclass(frozen=True)
class ColumnRange:
    """A column: its name, the means of its controls (None: missing) and of its other rows, whether it can tell."""

    name: str
    negative: float | None
    positive: float | None
    others: Sequence[float]
    can_tell: bool


@dataclass(frozen=True)
class Gain:
    """A row's paired difference to its board's baseline in one column."""

    row: str
    column: str
    test: PairedTest
    can_tell: bool


def draw_ranges(boards: Mapping[str, Sequence[ColumnRange]], path: Path) -> list[Path]:
    """Controls and methods in percent, a panel a board; columns that cannot tell are grey. Nothing without columns."""
    boards = {name: columns for name, columns in boards.items() if columns}
    if not boards:
        return []
    most = max(map(len, boards.values()))
    caption = "Negative control (grey), positive control (green), other rows (blue), in percent; hollow: cannot tell"
    with house_style():
        figure, axes = panel_grid(len(boards), (3.4, 0.7 + _ROW * most), caption)
        for each, (name, columns) in zip(axes, boards.items(), strict=True):
            for height, column in enumerate(reversed(columns)):
                fill = None if column.can_tell else "white"
                if column.negative is not None and column.positive is not None:
                    ends = [column.negative, column.positive]
                    each.plot(ends, [height] * 2, "-", color=GREY, linewidth=1.0, zorder=0)
                for other in column.others:
                    each.plot(other, height, "|", color=_METHODS, markersize=6.0)
                for value, colour in ((column.negative, _LOW), (column.positive, _HIGH)):
                    if value is not None:
                        each.plot(value, height, "o", color=colour, markerfacecolor=fill or colour, markersize=5.0)
            names = [printable(column.name) for column in reversed(columns)]
            _finish(each, names, name)
        return [save_svg(figure, path / RANGES, facecolor="white")]


def draw_gains(boards: Mapping[str, Sequence[Gain]], path: Path) -> list[Path]:
    """Differences in points with their 95 % intervals, a panel a board; hollow: the column cannot tell."""
    boards = {name: gains for name, gains in boards.items() if gains}
    if not boards:
        return []
    columns = list(dict.fromkeys(gain.column for gains in boards.values() for gain in gains))
    colours = {column: COLOURS[number % len(COLOURS)] for number, column in enumerate(columns)}
    most = max(len({gain.row for gain in gains}) for gains in boards.values())
    caption = "Paired difference to the board's baseline in points, 95 % interval; hollow: cannot tell"
    with house_style():
        figure, axes = panel_grid(len(boards), (3.4, 0.9 + 1.6 * _ROW * most), caption)
        for each, (name, gains) in zip(axes, boards.items(), strict=True):
            rows = list(dict.fromkeys(gain.row for gain in gains))[::-1]
            each.axvline(0.0, color=GREY, linewidth=0.8, zorder=0)
            for gain in gains:
                height = rows.index(gain.row) + 0.7 * (0.5 - (columns.index(gain.column) + 0.5) / len(columns))
                low, high = gain.test.low, gain.test.high
                if low is not None and high is not None:
                    each.plot([low, high], [height] * 2, "-", color=colours[gain.column], linewidth=1.1)
                fill = colours[gain.column] if gain.can_tell else "white"
                each.plot(
                    gain.test.difference, height, "o", color=colours[gain.column], markerfacecolor=fill, markersize=3.4
                )
            _finish(each, [printable(row) for row in rows], name)
        marks = [axes[0].plot([], [], "o", color=colour, markersize=3.4)[0] for colour in colours.values()]
        figure.legend(marks, columns, loc="outside lower center", ncols=min(4, len(columns)), frameon=False)
        return [save_svg(figure, path / GAINS, facecolor="white")]


def _finish(axes: Any, names: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(names)), [name[:40] for name in names])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_title(printable(title), loc="left")
