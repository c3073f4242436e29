"""The ``segmentation`` of an annotation as a mask: polygons or run lengths, read safely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from scenebench.coco.mends import ENDLESS_PART, ODD_PART, SHORT_PART, Mend
from scenebench.coco.runs import read_runs
from scenebench.coco.values import as_float, is_number

Rle = dict[str, Any]
"""pycocotools' compressed run lengths, ``{"size": [height, width], "counts": bytes}``."""

_REACH = 2.0  # how far beyond the image coordinates are kept, in its longer side
_LONGEST_OUTLINE = 10_000_000  # pixels; pycocotools walks them in steps of a fifth, 8 bytes a step
_LONG_SIDE = 100_000
_PLAIN = {int, float}


def read_mask(value: Any, width: int, height: int) -> tuple[Rle | None, list[Mend]]:
    """The mask, or None where there is none or no part of it can be used; and what was dropped.

    Raises:
        ValueError: neither polygons nor run lengths of this image; the message says why.
    """
    if value is None or value == [] or value == {}:
        return None, []
    if isinstance(value, dict):
        return read_runs(value, width, height), []
    polygons, dropped = usable_polygons(value)
    if not polygons:
        return None, dropped
    reach = _REACH * max(width, height)
    inside = [_within_reach(polygon, reach) for polygon in polygons]
    rle: Rle = coco_mask.merge(coco_mask.frPyObjects(inside, height, width))
    return rle, dropped


def require_mask(value: Any, width: int, height: int) -> list[Mend]:
    """As :func:`read_mask`, without drawing polygons: what is wrong with them.

    Raises:
        ValueError: as there.
    """
    if not value:
        return []
    if isinstance(value, dict):
        read_runs(value, width, height)
        return []
    return usable_polygons(value)[1]


def usable_polygons(value: Any) -> tuple[list[list[float]], list[Mend]]:
    """The polygons of a list, without those that are none, and why these were dropped.

    Raises:
        ValueError: no list of polygons, or one that holds anything but numbers.
    """
    if not isinstance(value, list):
        raise ValueError(f"segmentation is a {type(value).__name__}, neither polygons nor run lengths")
    polygons = value if isinstance(value[0], list) else [value]
    for polygon in polygons:
        if not isinstance(polygon, list) or not (
            set(map(type, polygon)) <= _PLAIN or all(is_number(number) for number in polygon)
        ):
            raise ValueError("segmentation is not a list of polygons [x, y, x, y, ...]")
    if len(polygons) >= 3 and all(len(polygon) == 2 for polygon in polygons):
        raise ValueError("segmentation is a list of points, not of polygons [x, y, x, y, ...]")
    usable: list[list[float]] = []
    dropped: list[Mend] = []
    for polygon in polygons:
        if len(polygon) % 2:
            dropped.append(ODD_PART)
        elif len(polygon) < 6:
            dropped.append(SHORT_PART)
        elif not np.isfinite(_as_array(polygon)).all():
            dropped.append(ENDLESS_PART)
        else:
            usable.append(polygon)
    return usable, dropped


def box_as_mask(corners: Sequence[float], width: int, height: int) -> Rle:
    """The mask of a box inside the image, given by left, top, right and bottom."""
    x0, y0, x1, y1 = corners
    rle: Rle = coco_mask.frPyObjects([[x0, y0, x1, y0, x1, y1, x0, y1]], height, width)[0]
    return rle


def _as_array(polygon: list[float]) -> np.ndarray:
    try:
        return np.array(polygon, dtype=np.float64)
    except OverflowError:  # an integer beyond floats
        return np.array([as_float(number) for number in polygon])


def _within_reach(polygon: list[float], reach: float) -> list[float]:
    """An outline is walked pixel by pixel: one stray coordinate of 1e9 would take all memory, and so would many."""
    points = _as_array(polygon)
    if points.min() < -reach or points.max() > 2.0 * reach:
        points = np.clip(points, -reach, 2.0 * reach)
        polygon = points.tolist()
    if len(polygon) > 100 or reach > _LONG_SIDE:
        corners = points.reshape(-1, 2)
        length = np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum()
        if length > _LONGEST_OUTLINE:
            raise ValueError(f"an outline is {length:.3g} pixels long")
    return polygon
