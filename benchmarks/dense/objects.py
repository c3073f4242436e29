"""The objects that a region probe learns from and is judged on: a fixed draw from the boxes of a split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.dense.annotated_images import AnnotatedImages
from benchmarks.evaluation.inputs import choose, read_image
from scenebench.errors import UserError

_DRAW_SEED = 20230222


@dataclass(frozen=True)
class Objects:
    """Objects of one split, in the order of their images.

    Attributes:
        image_of: int64, K: position among ``images``.
        boxes: float64, K x 4: left, top, right, bottom as shares of the image's width and height, 0-1.
        aspects: float64, K: width by height in pixels.
        labels: int64, K.
        notes: sentences for the record.
    """

    images: AnnotatedImages
    image_of: Tensor
    boxes: Tensor
    aspects: Tensor
    labels: Tensor
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def areas(self) -> Tensor:
        """Shares of the image's area, float64, K."""
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        return sides[:, 0] * sides[:, 1]

    @property
    def shown(self) -> list[int]:
        """Positions of the images that hold one of the objects, ascending."""
        return sorted(set(self.image_of.tolist()))

    def subset(self, chosen: Sequence[int], note: str = "") -> Objects:
        """These objects, in this order."""
        rows = torch.tensor(list(chosen), dtype=torch.int64)
        parts = (self.image_of[rows], self.boxes[rows], self.aspects[rows], self.labels[rows])
        return Objects(self.images, *parts, notes=(*self.notes, *([note] if note else [])))


def objects_of(images: AnnotatedImages) -> Objects:
    """Every object: no crowd, none that is marked difficult, boxes clipped to the image, of some area.

    Raises:
        UserError: nothing is left, or fewer than two categories are.
    """
    rows: list[tuple[int, list[float], float, int]] = []
    without_area = 0
    for position, boxes in enumerate(images.boxes):
        if not boxes:
            continue
        width, height = images.sizes[position] or read_image(images.paths[position]).size
        for box in boxes:
            if box.crowd or box.difficult:
                continue
            left, right = max(0.0, box.left) / width, min(float(width), box.right) / width
            top, bottom = max(0.0, box.top) / height, min(float(height), box.bottom) / height
            if right <= left or bottom <= top:
                without_area += 1
                continue
            aspect = (right - left) * width / ((bottom - top) * height)
            rows.append((position, [left, top, right, bottom], aspect, box.label))
    where = f"{_folder(images.paths)}: split '{images.split}'"
    if not rows:
        raise UserError(f"{where}: holds no object but crowds, difficult ones and boxes without area")
    if len({row[3] for row in rows}) < 2:
        raise UserError(f"{where}: all objects are of one category, '{images.classes[rows[0][3]]}'; two are needed")
    note = (f"{without_area} boxes of split '{images.split}' without area left out",) if without_area else ()
    return Objects(
        images,
        torch.tensor([row[0] for row in rows]),
        torch.tensor([row[1] for row in rows], dtype=torch.float64),
        torch.tensor([row[2] for row in rows], dtype=torch.float64),
        torch.tensor([row[3] for row in rows]),
        (*images.notes, *note),
    )


def drawn_by_category(objects: Objects, most: int) -> Objects:
    """At most ``most`` objects of each category: equal arguments, equal draw; a larger ``most`` only adds some."""
    chosen: list[int] = []
    for label in range(len(objects.images.classes)):
        own = torch.nonzero(objects.labels == label).flatten().numpy()
        order = np.random.default_rng([_DRAW_SEED, label, len(own)]).permutation(len(own))
        chosen += own[order[:most]].tolist()
    return _drawn(objects, sorted(chosen), f"at most {most} of a category")


def drawn(objects: Objects, most: int) -> Objects:
    """At most ``most`` objects, whatever their category, by the draw that chooses images."""
    return _drawn(objects, choose(len(objects), most), "over all categories")


def _drawn(objects: Objects, chosen: Sequence[int], how: str) -> Objects:
    if len(chosen) == len(objects):
        return objects
    note = f"{len(chosen)} of the {len(objects)} objects of split '{objects.images.split}' ({how}, a fixed draw)"
    return objects.subset(chosen, note)


def _folder(paths: Sequence[Path]) -> Path:
    return paths[0].parent
