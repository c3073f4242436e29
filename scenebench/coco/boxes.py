"""A box against the mask beside it: whether it fits, and what most contradictions look like.

A box drawn by hand is looser than its mask, so each side may be off by a fifth of the mask's extent and by three pixels
in any case; boxes made from their masks (as COCO's are) are within one pixel. A single contradiction is a slip of its
annotator. Where most boxes contradict their masks, the file was written by a rule that is not COCO's, and nearly always
by one of those in :data:`MISTAKES`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
from pycocotools import mask as coco_mask

from scenebench.coco.values import as_float, is_number, shown

Box: TypeAlias = tuple[float, float, float, float]
"""x, y, width, height in pixels."""

Evidence = Counter[str]
"""What was seen of a file's boxes, by the words below and the names of :data:`MISTAKES`."""

COMPARED, CONTRADICTED, APART = "compared", "contradicted", "apart"
ALONE, ALONE_OUTSIDE, ALONE_CORNERS, ALONE_SMALL = "alone", "alone, outside", "alone, corners", "alone, small"

_LOOSE = 0.2  # of the mask's extent, by which a side may be off
_LOOSE_PIXELS = 3.0
_EXPLAINED = 0.05  # the same, for a mistake that explains a box
_EXPLAINED_PIXELS = 2.0
_APART = 0.5  # intersection over union, below which a box and a mask are of different places
_APART_AROUND = 0.2  # the same where the box holds the mask: it may be of the whole object, the mask of what is seen
_OUTSIDE_PIXELS = 1.0
_ENOUGH = 2  # boxes; one is no rule

MISTAKES: dict[str, str] = {
    "corners": "they look like corners [x1, y1, x2, y2] where COCO has [x, y, width, height]",
    "normalised": "they look normalised to 0-1 where COCO has pixels",
    "centre": "they look like [x centre, y centre, width, height] where COCO has the left upper corner",
    "swapped": "they look like [y, x, height, width], with the axes swapped",
    "swapped corners": "they look like [y1, x1, y2, x2] where COCO has [x, y, width, height]",
    "row-major": "the masks look like run lengths taken row by row where COCO goes column by column",
    "scaled": "boxes and masks differ by a factor, as if the pictures had been resized for one of them only",
}


def read_box(value: Any) -> Box | None:
    """A ``bbox``; None where there is none. Its numbers may be NaN.

    Raises:
        ValueError: it is not four numbers.
    """
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(is_number(number) for number in value):
        raise ValueError(f"bbox is {shown(value)}, not four numbers [x, y, width, height]")
    x, y, width, height = (as_float(number) for number in value)
    return x, y, width, height


def clip(box: Box, width: int, height: int) -> Box | None:
    """The part of a box inside the image; None where it has no area."""
    if not all(math.isfinite(value) for value in box) or box[2] <= 0.0 or box[3] <= 0.0:
        return None
    left, top, right, bottom = corners(box)
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top


def corners(box: Sequence[float]) -> Box:
    """Left, top, right, bottom."""
    x, y, width, height = box
    return x, y, x + width, y + height


def compare(box: Box, rle: dict[str, Any], width: int, height: int, by_runs: bool) -> list[str]:
    """What a box says beside its mask, as entries of the evidence; with :data:`CONTRADICTED` it is not to be used.

    Args:
        rle: the mask, with at least one pixel.
        width, height: of the image.
        by_runs: the file has the mask as run lengths.
    """
    if not all(math.isfinite(value) for value in box):
        return []
    mask: Box = tuple(coco_mask.toBbox(rle).tolist())
    if _fits(box, mask, width, height, _LOOSE, _LOOSE_PIXELS):
        return [COMPARED]
    seen = [COMPARED, CONTRADICTED]
    clipped = clip(box, width, height)
    if clipped is None or _overlap(clipped, mask) < (_APART_AROUND if _holds(clipped, mask) else _APART):
        seen.append(APART)
    for name, candidates in _READINGS.items():
        if any(_fits(found, mask, width, height) for found in candidates(box, width, height)):
            seen.append(name)
    if by_runs and _fits(box, _row_by_row(rle), width, height):
        seen.append("row-major")
    if _is_scaled(box, mask):
        seen.append("scaled")
    return seen


def look_at(box: Box, width: int, height: int) -> list[str]:
    """What a box without a mask says, as entries of the evidence."""
    if not all(math.isfinite(value) for value in box):
        return []
    seen = [ALONE]
    _, _, right, bottom = corners(box)
    if right > width + _OUTSIDE_PIXELS or bottom > height + _OUTSIDE_PIXELS:
        seen.append(ALONE_OUTSIDE)
    x1, y1, x2, y2 = box
    if 0 <= x1 < x2 <= width + _OUTSIDE_PIXELS and 0 <= y1 < y2 <= height + _OUTSIDE_PIXELS:
        seen.append(ALONE_CORNERS)
    if max(map(abs, box)) <= 1.0:
        seen.append(ALONE_SMALL)
    return seen


def fault_of(evidence: Evidence) -> str:
    """What is wrong with a file's boxes as a whole, in one sentence that says what to do; empty where nothing is."""
    remedy = "mend 'bbox', or leave it out: the masks' own boxes are then used"
    compared, contradicted = evidence[COMPARED], evidence[CONTRADICTED]
    if contradicted >= _ENOUGH and 2 * contradicted > compared:
        name = max(MISTAKES, key=lambda name: evidence[name])
        said = f"{contradicted} of {compared} boxes contradict their masks"
        if 2 * evidence[name] > contradicted:
            return f"{said}: {MISTAKES[name]}; {'mend the masks' if name == 'row-major' else remedy}"
        if 2 * evidence[APART] > compared:
            return f"{said}, by no rule that is known; {remedy}"
    alone = evidence[ALONE]
    if alone >= _ENOUGH and evidence[ALONE_SMALL] == alone:
        return f"all {alone} boxes without a mask are within 0-1: {MISTAKES['normalised']}; mend 'bbox'"
    outside, as_corners = evidence[ALONE_OUTSIDE], evidence[ALONE_CORNERS]
    if outside >= _ENOUGH and 4 * outside >= alone and 10 * as_corners >= 9 * alone:
        return f"{outside} of {alone} boxes without a mask leave the picture: {MISTAKES['corners']}; mend 'bbox'"
    return ""


def _normalised(box: Box, width: int, height: int) -> Iterable[Box]:
    if max(map(abs, box)) > 1.5:
        return []
    a, b, c, d = box[0] * width, box[1] * height, box[2] * width, box[3] * height
    return [(a, b, c, d), (a, b, c - a, d - b), (a - c / 2, b - d / 2, c, d)]


_READINGS: dict[str, Callable[[Box, int, int], Iterable[Box]]] = {
    "corners": lambda box, width, height: [(box[0], box[1], box[2] - box[0], box[3] - box[1])],
    "normalised": _normalised,
    "centre": lambda box, width, height: [(box[0] - box[2] / 2, box[1] - box[3] / 2, box[2], box[3])],
    "swapped": lambda box, width, height: [(box[1], box[0], box[3], box[2])],
    "swapped corners": lambda box, width, height: [(box[1], box[0], box[3] - box[1], box[2] - box[0])],
}


def _fits(
    box: Box,
    mask: Box,
    width: int,
    height: int,
    share: float = _EXPLAINED,
    pixels: float = _EXPLAINED_PIXELS,
) -> bool:
    clipped = clip(box, width, height)
    if clipped is None:
        return False
    slack = [max(pixels, share * extent) for extent in (mask[2], mask[3])] * 2
    pairs = zip(corners(clipped), corners(mask), slack, strict=True)
    return all(abs(one - other) <= most for one, other, most in pairs)


def _holds(box: Box, mask: Box) -> bool:
    outer, inner = corners(box), corners(mask)
    before = all(outer[axis] <= inner[axis] + _LOOSE_PIXELS for axis in (0, 1))
    return before and all(outer[axis] >= inner[axis] - _LOOSE_PIXELS for axis in (2, 3))


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    a, b = corners(one), corners(other)
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def _row_by_row(rle: dict[str, Any]) -> Box:
    """The box of the mask whose runs are read along the rows."""
    pixels = coco_mask.decode(rle)
    turned = np.asfortranarray(pixels.ravel(order="F").reshape(pixels.shape))
    box: Box = tuple(coco_mask.toBbox(coco_mask.encode(turned)).tolist())
    return box


def _is_scaled(box: Box, mask: Box) -> bool:
    """Whether a factor for each axis brings the box to the mask, its place as well as its extent."""
    if box[2] <= 0 or box[3] <= 0:
        return False
    factors = mask[2] / box[2], mask[3] / box[3]
    places = [(box[axis] * factors[axis], mask[axis], mask[axis + 2]) for axis in (0, 1)]
    return all(abs(found - wanted) <= max(_EXPLAINED_PIXELS, _EXPLAINED * extent) for found, wanted, extent in places)
