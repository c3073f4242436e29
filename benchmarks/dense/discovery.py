"""``object_discovery``: does the one box that LOST finds in an image lie on one of its objects?"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchvision.ops import box_iou

from benchmarks.dense.annotated_images import AnnotatedImages, images_with_boxes
from benchmarks.dense.lost import centred, lost_box
from benchmarks.dense.maps import map_batches, settings_of
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import read_image
from scenebench.errors import UserError


def run_discovery(cell: Cell) -> Outcome:
    """CorLoc of LOST's boxes and of two trivial ones, on the test images; nothing is trained.

    Crowds are no objects; those marked difficult are. Images without an object are left out.

    Raises:
        UserError: no image with an object, one that cannot be decoded or does not divide into the backbone's cells.
    """
    settings, data = settings_of(cell), cell.protocol.data
    discovery = settings.discovery
    assert discovery is not None
    images = images_with_boxes(cell.data, data.test_split, data.max_test_images)
    truths = {position: truth for position in range(len(images)) if len(truth := _truth(images, position))}
    if not truths:
        raise UserError(f"{cell.data.root}: no image of split '{data.test_split}' holds an object but crowds")
    found: dict[int, Tensor] = {}
    for batch, maps in map_batches(cell, images, list(truths)):
        rows, columns = maps.shape[2:]
        for position, own in zip(batch, maps, strict=True):
            cells = lost_box(centred(own, discovery.centre), rows, columns, discovery.expand)
            sides = torch.tensor([columns, rows, columns, rows], dtype=torch.float64)
            found[position] = torch.tensor(cells, dtype=torch.float64) / sides
    side = math.sqrt(discovery.central_area)
    trivial = {
        "CorLoc_whole": torch.tensor([0.0, 0.0, 1.0, 1.0], dtype=torch.float64),
        "CorLoc_central": torch.tensor([1 - side, 1 - side, 1 + side, 1 + side], dtype=torch.float64) / 2,
    }
    metrics: dict[str, float | None] = {"CorLoc": corloc(found, truths, discovery.min_iou)}
    for name, box in trivial.items():
        metrics[name] = corloc(dict.fromkeys(truths, box), truths, discovery.min_iou)
    without = len(images) - len(truths)
    notes = [*images.notes, *([f"{without} images without an object left out"] if without else [])]
    instances = sum(len(truth) for truth in truths.values())
    return Outcome(metrics, 0, len(truths), notes=notes, instances=instances)


def corloc(boxes: dict[int, Tensor], truths: dict[int, Tensor], min_iou: float) -> float:
    """Share of the images whose box overlaps any of its objects by ``min_iou`` or more, in percent.

    Args:
        boxes: by image, 4: left, top, right, bottom. truths: by image, K x 4, at least one.
    """
    right = [float(box_iou(boxes[image][None], truth).max()) >= min_iou for image, truth in truths.items()]
    return 100.0 * sum(right) / len(right)


def _truth(images: AnnotatedImages, position: int) -> Tensor:
    """Objects of an image as shares of its width and height, clipped to it: float64, K x 4."""
    boxes = [box for box in images.boxes[position] if not box.crowd]
    if not boxes:
        return torch.empty(0, 4)
    width, height = images.sizes[position] or read_image(images.paths[position]).size
    corners = torch.tensor([[box.left, box.top, box.right, box.bottom] for box in boxes], dtype=torch.float64)
    relative = (corners / torch.tensor([width, height, width, height])).clamp(0, 1)
    return relative[(relative[:, 2] > relative[:, 0]) & (relative[:, 3] > relative[:, 1])]
