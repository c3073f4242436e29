"""From one COCO annotation to an instance of the prepared data set, mending what can be mended and counting it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from benchmarks.datasets.writing import Instance, as_text
from scenebench.errors import UserError

Repairs = Counter[str]
"""How often something was mended or dropped, by a phrase that says what."""

ZERO_BOX = "instances dropped: their box has no area inside the image"
EMPTY_MASK = "instances dropped: their mask covers no pixel"
CLIPPED = "boxes clipped to the image"
BOX_FOR_MASK = "instances without a mask: THE BOX STANDS IN, so mask AP and mIoU measure boxes"
CROWDS = "crowd regions: kept for COCO's evaluation, ignored in the semantic maps, positive in the multi-label lists"

_CLIPPED_PIXELS = 0.5
"""Less than this beyond the border is rounding, not a mistake worth counting."""


def to_instance(
    annotation: dict[str, Any], category: int, width: int, height: int, where: str, repairs: Repairs
) -> Instance | None:
    """The instance, or None where it must be dropped.

    Box and area stay those of the JSON (the box clipped to the image); the mask becomes run-length encoded.

    Args:
        width, height: of the image in pixels.
        where: names the image in errors.
        repairs: is added to.

    Raises:
        UserError: a box that is not four numbers, a mask in no COCO format or of another size, or neither of both.
    """
    where = f"{where}, annotation {annotation.get('id', '')}"
    rle = _mask(annotation.get("segmentation"), width, height, where)
    box = _box(annotation.get("bbox"), where)
    if box is None and rle is None:
        raise UserError(f"{where}: neither a 'bbox' nor a 'segmentation'")
    if box is None:
        box = tuple(coco_mask.toBbox(rle).tolist())
    clipped = _clip(box, width, height)
    if clipped is None:
        repairs[ZERO_BOX] += 1
        return None
    if max(abs(a - b) for a, b in zip(_corners(box), _corners(clipped), strict=True)) > _CLIPPED_PIXELS:
        repairs[CLIPPED] += 1
    if rle is None:
        x0, y0, x1, y1 = _corners(clipped)
        rle = coco_mask.frPyObjects([[x0, y0, x1, y0, x1, y1, x0, y1]], height, width)[0]
        repairs[BOX_FOR_MASK] += 1
    covered = float(coco_mask.area(rle))
    if covered == 0.0:
        repairs[EMPTY_MASK] += 1
        return None
    crowd = bool(annotation.get("iscrowd", 0))
    repairs[CROWDS] += int(crowd)
    area = annotation.get("area")
    area = float(area) if area is not None and _is_number(area) and area > 0 else covered
    return Instance(category, clipped, area, as_text(rle), crowd)


def _box(value: Any, where: str) -> tuple[float, ...] | None:
    if value is None or value == []:
        return None
    if not isinstance(value, list) or len(value) != 4 or not all(_is_real(number) for number in value):
        raise UserError(f"{where}: bbox is {value}, not [x, y, width, height]")
    return tuple(float(number) for number in value)


def _clip(box: Sequence[float], width: int, height: int) -> tuple[float, float, float, float] | None:
    if not all(math.isfinite(value) for value in box) or box[2] <= 0.0 or box[3] <= 0.0:
        return None
    left, top, right, bottom = _corners(box)
    left, top, right, bottom = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
    if right <= left or bottom <= top:
        return None
    return left, top, right - left, bottom - top


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x, y, width, height = box
    return x, y, x + width, y + height


def _mask(value: Any, width: int, height: int, where: str) -> dict[str, Any] | None:
    """Compressed run-length encoding (counts as bytes), or None where there is no usable mask."""
    if value is None or value == [] or value == {}:
        return None
    if isinstance(value, list):
        return _from_polygons(value, width, height, where)
    if isinstance(value, dict):
        return _from_runs(value, width, height, where)
    raise UserError(f"{where}: segmentation is a {type(value).__name__}, neither polygons nor run lengths")


def _from_polygons(value: list[Any], width: int, height: int, where: str) -> dict[str, Any] | None:
    polygons = value if isinstance(value[0], list) else [value]
    if not all(isinstance(polygon, list) and all(_is_real(number) for number in polygon) for polygon in polygons):
        raise UserError(f"{where}: segmentation is not a list of polygons [x, y, x, y, ...]")
    usable = []
    for polygon in polygons:
        points = np.array(polygon, dtype=np.float64)
        if len(points) >= 6 and len(points) % 2 == 0 and bool(np.isfinite(points).all()):
            # pycocotools walks every pixel of an outline: a stray 1e9 would take all memory.
            reach = 2.0 * max(width, height)
            usable.append(np.clip(points, -reach, 2.0 * reach).tolist())
    if not usable:
        return None
    return coco_mask.merge(coco_mask.frPyObjects(usable, height, width))


def _from_runs(value: dict[str, Any], width: int, height: int, where: str) -> dict[str, Any]:
    size, counts = value.get("size"), value.get("counts")
    if size != [height, width]:
        raise UserError(f"{where}: the mask's size is {size}, the image's [height, width] is [{height}, {width}]")
    if isinstance(counts, list):
        if not all(isinstance(run, int) and run >= 0 for run in counts) or sum(counts) != width * height:
            raise UserError(f"{where}: the mask's run lengths do not add up to {width} x {height} pixels")
        return coco_mask.frPyObjects(value, height, width)
    if not isinstance(counts, str):
        raise UserError(f"{where}: the mask's counts are neither a list nor text")
    if sum(_runs(counts, where)) != width * height:
        raise UserError(f"{where}: the mask's run lengths do not add up to {width} x {height} pixels")
    return {"size": [height, width], "counts": counts.encode("ascii")}


def _runs(text: str, where: str) -> list[int]:
    """Decode COCO's compressed run lengths, which pycocotools would trust blindly.

    Five bits a character (offset 48, bit 5: more follow), sign-extended; from the fourth on, the difference to the run
    two before.
    """
    runs: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise UserError(f"{where}: the mask's counts are not COCO's compressed run lengths")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if runs[-1] < 0:
            raise UserError(f"{where}: the mask's counts hold a negative run")
        value = shift = 0
    if shift:
        raise UserError(f"{where}: the mask's counts end in the middle of a run")
    return runs


def _is_real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_real(value) and math.isfinite(value)
