"""The contact sheet: a few images of a prepared data set, plain and with masks, boxes and names drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from pycocotools import mask as coco_mask

from benchmarks.datasets.writing import Instance, PreparedImage

NAME = "contact_sheet.png"
_TILE = 240
_GAP = 10
_TITLE_HEIGHT = 44
_COLUMNS = 3
_ROWS = 4
_BACKGROUND = (250, 250, 248)
_INK = (30, 34, 40)
_FADED = (110, 116, 124)
# Twelve colours that stay apart on photographs; an instance's place in its image picks one.
_COLOURS = (
    *((230, 57, 70), (29, 120, 200), (42, 157, 80), (244, 140, 6), (131, 56, 200), (0, 150, 160)),
    *((214, 40, 140), (120, 140, 20), (90, 80, 70), (255, 110, 90), (60, 70, 180), (180, 120, 60)),
)


def draw_contact_sheet(
    root: Path, split: str, images: Sequence[PreparedImage], categories: Sequence[str], title: str
) -> None:
    """Write ``root/contact_sheet.png`` with the first images of ``split`` that hold objects."""
    shown = [image for image in images if image.instances][: _COLUMNS * _ROWS] or list(images[:1])
    columns = min(_COLUMNS, len(shown))
    rows = math.ceil(len(shown) / columns)
    cell_width, cell_height = 2 * _TILE + 2, max(_fitted_size(image.width, image.height)[1] for image in shown)
    sheet = Image.new(
        "RGB",
        (_GAP + columns * (cell_width + _GAP), _TITLE_HEIGHT + rows * (cell_height + _GAP)),
        _BACKGROUND,
    )
    _draw_title(sheet, title, f"{split}: {len(images)} images, {len(categories)} categories")
    for number, image in enumerate(shown):
        left = _GAP + number % columns * (cell_width + _GAP)
        top = _TITLE_HEIGHT + number // columns * (cell_height + _GAP)
        with Image.open(root / "images" / split / image.file_name) as picture:
            plain, annotated = _tiles(picture.convert("RGB"), image.instances, categories, cell_height)
        sheet.paste(plain, (left, top))
        sheet.paste(annotated, (left + _TILE + 2, top))
    sheet.save(root / NAME, format="PNG", compress_level=3)


def _draw_title(sheet: Image.Image, title: str, details: str) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    draw.text((_GAP, 11), title, fill=_INK, font=font)
    draw.text((_GAP + draw.textlength(title, font) + 14, 17), details, fill=_FADED, font=ImageFont.load_default(14))


def _fitted_size(width: int, height: int) -> tuple[int, int]:
    scale = _TILE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _tiles(
    picture: Image.Image, instances: Sequence[Instance], categories: Sequence[str], height: int
) -> tuple[Image.Image, Image.Image]:
    """The picture fitted into a tile of ``height``, and the same with its instances drawn."""
    size = _fitted_size(*picture.size)
    shrinks = size[0] < picture.width
    fitted = picture.resize(size, Image.Resampling.LANCZOS if shrinks else Image.Resampling.BICUBIC)
    drawn = Image.fromarray(_with_masks(np.asarray(fitted), instances))
    _draw_names(drawn, instances, categories, size[0] / picture.width)
    return _padded(fitted, height), _padded(drawn, height)


def _padded(image: Image.Image, height: int) -> Image.Image:
    tile = Image.new("RGB", (_TILE, height), (236, 236, 232))
    tile.paste(image, ((_TILE - image.width) // 2, (height - image.height) // 2))
    return tile


def _with_masks(pixels: NDArray[np.uint8], instances: Sequence[Instance]) -> NDArray[np.uint8]:
    canvas = pixels.astype(np.float64) * 0.85
    height, width = pixels.shape[:2]
    for number, instance in enumerate(instances):
        if instance.rle is None:  # its box is drawn all the same
            continue
        colour = np.array(_COLOURS[number % len(_COLOURS)], dtype=np.float64)
        mask = _resized(coco_mask.decode(instance.rle).astype(bool), (width, height))
        canvas[mask] = 0.5 * canvas[mask] + 0.5 * colour
        canvas[mask & ~_eroded(mask)] = 0.25 * colour + 0.75 * 255
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _resized(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    image = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(image) > 127


def _eroded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    inner = np.pad(mask, 1)
    return inner[1:-1, 1:-1] & inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:]


def _draw_names(image: Image.Image, instances: Sequence[Instance], categories: Sequence[str], scale: float) -> None:
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(12)
    for number, instance in enumerate(instances):
        colour = _COLOURS[number % len(_COLOURS)]
        x, y, width, height = (value * scale for value in instance.bbox)
        draw.rectangle((x, y, max(x, x + width - 1), max(y, y + height - 1)), outline=colour)
    for number, instance in enumerate(instances):  # names last, over all boxes
        name = categories[instance.category] + (" (crowd)" if instance.crowd else "")
        x = min(max(2.0, instance.bbox[0] * scale + 1), max(2.0, image.width - draw.textlength(name, font) - 3))
        y = min(max(1.0, instance.bbox[1] * scale - 7), max(1.0, image.height - 16))
        colour = _COLOURS[number % len(_COLOURS)]
        draw.text((x, y), name, fill=(255, 255, 255), font=font, stroke_width=2, stroke_fill=colour)
