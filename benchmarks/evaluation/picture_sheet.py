"""Sheets of test images with what was predicted beside what is there, to be looked at."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scenebench.files import replacing

CELL = 256
"""Side of one picture on the sheet, in pixels."""
_MARGIN, _CAPTION = 6, 16
_BACKGROUND, _TEXT = (250, 250, 250), (30, 30, 30)


@dataclass(frozen=True)
class Instance:
    """One object: category index, xyxy box in pixels, mask (bool, H x W) or None, score or None."""

    category: int
    box: tuple[float, float, float, float]
    mask: NDArray[np.bool_] | None = None
    score: float | None = None


@dataclass(frozen=True)
class Panel:
    """One picture of a sheet and what stands above it."""

    caption: str
    picture: Image.Image


def category_colour(index: int) -> tuple[int, int, int]:
    """A colour that differs from its neighbours' (hues by the golden ratio)."""
    red, green, blue = colorsys.hsv_to_rgb((0.11 + 0.618034 * index) % 1, 0.85 - 0.3 * (index % 2), 0.95)
    return round(255 * red), round(255 * green), round(255 * blue)


def draw_instances(image: Image.Image, instances: Sequence[Instance], names: Sequence[str]) -> Image.Image:
    """The image at the sheet's size with masks tinted, boxes outlined and categories (and scores) written.

    Colours tell categories apart, or objects where there is but one category.
    """
    colours = [
        category_colour(instance.category if len(names) > 1 else position)
        for position, instance in enumerate(instances)
    ]
    pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    for instance, colour in zip(instances, colours, strict=True):
        if instance.mask is not None:
            pixels[instance.mask] = 0.5 * pixels[instance.mask] + 0.5 * np.array(colour)
    picture, scale = _enlarge(Image.fromarray(pixels.astype(np.uint8)))
    canvas = ImageDraw.Draw(picture)
    for instance, colour in zip(instances, colours, strict=True):
        box = [coordinate * scale for coordinate in instance.box]
        canvas.rectangle((box[0], box[1], max(box[0], box[2]), max(box[1], box[3])), outline=colour, width=2)
        text = names[instance.category] + ("" if instance.score is None else f" {instance.score:.2f}")
        place = (box[0] + 2, max(box[1] - 11, 0))
        canvas.rectangle(canvas.textbbox(place, text), fill=(0, 0, 0))
        canvas.text(place, text, fill=colour)
    return picture


def draw_semantic(image: Image.Image, labels: NDArray[np.integer]) -> Image.Image:
    """The image at the sheet's size, tinted by label (0 stays as it is, 255 becomes white); labels H x W."""
    palette = np.zeros((256, 3), dtype=np.float32)
    palette[1:255] = [category_colour(index) for index in range(254)]
    palette[255] = 255
    pixels = np.asarray(image.convert("RGB")).astype(np.float32)
    tinted = labels != 0
    pixels[tinted] = 0.4 * pixels[tinted] + 0.6 * palette[labels[tinted]]
    return _enlarge(Image.fromarray(pixels.astype(np.uint8)))[0]


def describe_semantic(labels: NDArray[np.integer], names: Sequence[str]) -> str:
    """Names of the classes in ``labels`` (H x W), largest area first; background and ignored pixels left out."""
    values, areas = np.unique(labels, return_counts=True)
    present = [int(value) for value in values[np.argsort(-areas, kind="stable")] if 0 < value <= len(names)]
    return ", ".join(names[value - 1] for value in present) or "nothing"


def save_sheet(path: Path, pairs: Sequence[tuple[Panel, Panel]], columns: int = 2) -> None:
    """Write (truth, prediction) pairs as a PNG, ``columns`` pairs a row, every picture under its caption."""
    rows = [pairs[first : first + columns] for first in range(0, len(pairs), columns)] or [[]]
    # A row is as high as its highest picture: photographs are seldom square.
    heights = [max((panel.picture.height for pair in row for panel in pair), default=CELL) for row in rows]
    width = 2 * (CELL + _MARGIN) + _MARGIN
    total = sum(height + _CAPTION + _MARGIN for height in heights) + _MARGIN
    sheet = Image.new("RGB", (width * columns, total), _BACKGROUND)
    canvas = ImageDraw.Draw(sheet)
    top = _MARGIN
    for row, height in zip(rows, heights, strict=True):
        for position, panel in enumerate(panel for pair in row for panel in pair):
            x = position // 2 * width + _MARGIN + position % 2 * (CELL + _MARGIN)
            canvas.text((x, top), _shorten(canvas, panel.caption), fill=_TEXT)
            sheet.paste(panel.picture, (x, top + _CAPTION))
        top += height + _CAPTION + _MARGIN
    with replacing(path) as temporary:
        sheet.save(temporary, format="PNG")


def _shorten(canvas: ImageDraw.ImageDraw, text: str) -> str:
    """Cut ``text`` so that it is no wider than a picture."""
    if canvas.textlength(text) <= CELL:
        return text
    while text and canvas.textlength(text + "...") > CELL:
        text = text[:-1]
    return text + "..."


def _enlarge(image: Image.Image) -> tuple[Image.Image, float]:
    """Fit into a CELL x CELL square, keeping the aspect ratio; returns the scale too."""
    scale = CELL / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC), scale
