"""The figure: every method on every task, one panel a protocol's primary metric."""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from benchmarks.report.table import Row, SuiteTable
from scenebench.files import replacing, write_text

# Okabe and Ito's palette: told apart with every kind of colour vision. References and the baseline are grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#777777"
_HASHED_ID = re.compile(r'id="([A-Za-z_]\w*?)([0-9a-f]{10})"')
_REFERENCE = re.compile(r'(id="|href="#|url\(#)([A-Za-z_]\w*)("|\))')
_LONG_NUMBER = re.compile(r"scale\([^)]*\)|-?\d+\.\d{4,}")
_PANELS_A_LINE = 3
_MOST_PANELS = 12
_MOST_ROWS = 40
_RC: dict[Any, Any] = {
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "svg.hashsalt": "scenebench",  # ids in the SVG depend on its content only
    "svg.fonttype": "path",
    "text.usetex": False,
    "text.parse_math": False,  # a label with a dollar sign is no formula
}


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


@contextmanager
def house_style() -> Iterator[None]:
    """What all pictures of a report look like; both drawing and saving belong inside."""
    with matplotlib.rc_context(_RC), warnings.catch_warnings():
        # A label in a script that the font lacks is drawn as boxes; the tables spell it.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write ``name.png`` and ``name.svg``, without a date so that equal pictures are equal files; returns the paths."""
    picture = folder / f"{name}.png"
    with replacing(picture) as temporary:
        figure.savefig(temporary, format="png", dpi=200, metadata={"Software": None}, facecolor="white")
    return [picture, save_svg(figure, folder / f"{name}.svg", facecolor="white")]


def save_svg(figure: Figure, path: Path, **options: Any) -> Path:
    """Write an SVG without a date, equal on every processor; ``options`` are matplotlib's own.

    The last digits of a coordinate differ between processors. Matplotlib's ids are hashes of them, so ids are numbered
    instead; and it writes six decimals, of which the sixth differs at a tie, so three stay.
    """
    drawn = io.BytesIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None}, **options)
    write_text(path, _LONG_NUMBER.sub(_shortened, _numbered_ids(drawn.getvalue().decode())))
    return path


def _shortened(found: re.Match[str]) -> str:
    if found[0].startswith("scale"):  # of a glyph, 0.015625
        return found[0]
    text = f"{float(found[0]):.3f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _numbered_ids(svg: str) -> str:
    """The picture with a number, counted from 1 for each kind, in place of the hash in each of matplotlib's ids."""
    count: Counter[str] = Counter()
    names: dict[str, str] = {}
    for kind, digest in _HASHED_ID.findall(svg):
        if kind + digest not in names:
            count[kind] += 1
            names[kind + digest] = f"{kind}{count[kind]}"
    return _REFERENCE.sub(lambda found: found[1] + names.get(found[2], found[2]) + found[3], svg)


def _draw(panels: Sequence[tuple[SuiteTable, int]], labels: Sequence[str], styles: dict[str, dict[str, Any]]) -> Figure:
    left_out = [f"{n} further {what}" for n, what in _too_many(panels, labels) if n > 0]
    panels, labels = panels[:_MOST_PANELS], labels[:_MOST_ROWS]
    across = min(len(panels), _PANELS_A_LINE)
    down = -(-len(panels) // across)
    height = 0.75 + 0.24 * len(labels)
    figure = Figure(figsize=(2.1 + 2.05 * across, height * down + 0.3), layout="constrained")
    axes = figure.subplots(down, across, squeeze=False, sharey=True)
    for number, (table, index) in enumerate(panels):
        _draw_panel(axes[number // across][number % across], table, index, labels, styles)
    for number in range(len(panels), across * down):
        axes[number // across][number % across].set_visible(False)
    figure.suptitle("; ".join([_caption(panels[0][0]), *left_out]), x=0.01, ha="left", fontsize=7.5, color="#555555")
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
    axes.set_xlabel(f"{printable(column.name)[:32]} (%)")


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


def printable(text: str) -> str:
    """``text`` without control characters; records may hold anything."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def _caption(table: SuiteTable) -> str:
    signs = "mean and standard deviation over seeds (small dots: seeds); dashed: the baseline; diamonds: references"
    return f"{table.place}: {signs}"
