"""What all pictures of a report share: colours, style, the grid of panels, and files of equal bytes."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from scenebench.files import replacing, write_text

# Okabe and Ito's palette: told apart with every kind of colour vision. References and the baseline are grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
GREY = "#777777"
_HASHED_ID = re.compile(r'id="([A-Za-z_]\w*?)([0-9a-f]{10})"')
_REFERENCE = re.compile(r'(id="|href="#|url\(#)([A-Za-z_]\w*)("|\))')
_LONG_NUMBER = re.compile(r"scale\([^)]*\)|-?\d+\.\d{4,}")
PANELS_A_LINE = 3
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


def panel_grid(
    number: int,
    panel: tuple[float, float],
    caption: str,
    margin: tuple[float, float] = (0.0, 0.3),
    colour: str = "#555555",
    sharey: bool = False,
) -> tuple[Figure, list[Any]]:
    """A figure with a caption above ``number`` panels, three a line at most, and the axes of these panels.

    Args:
        panel: width and height of one, in inches; ``margin``: what the figure has beside.
    """
    across = min(number, PANELS_A_LINE)
    down = -(-number // across)
    size = (margin[0] + panel[0] * across, panel[1] * down + margin[1])
    figure = Figure(figsize=size, layout="constrained")
    axes = list(figure.subplots(down, across, squeeze=False, sharey=sharey).flat)
    for left_over in axes[number:]:
        left_over.set_visible(False)
    figure.suptitle(caption, x=0.01, ha="left", fontsize=7.5, color=colour)
    return figure, axes[:number]


def printable(text: str) -> str:
    """``text`` without control characters; records may hold anything."""
    return "".join(sign if sign.isprintable() else " " for sign in text)
