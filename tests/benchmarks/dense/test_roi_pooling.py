"""Boxes pooled on maps against a slow oracle: every sample of every bin, by hand, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmarks.dense.roi_pooling import pool_boxes


def bilinear(channel: Tensor, y: float, x: float) -> float:
    """The value at (y, x) in index coordinates; up to one cell beyond the border the border's, further out 0."""
    height, width = channel.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = min(int(y), height - 1), min(int(x), width - 1)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, across = y - top, x - left
    upper = channel[top, left] * (1 - across) + channel[top, right] * across
    lower = channel[bottom, left] * (1 - across) + channel[bottom, right] * across
    return float(upper * (1 - down) + lower * down)


def oracle(feature_map: Tensor, box: list[float], cells: int, sampling: int) -> list[float]:
    _, height, width = feature_map.shape
    left, right = box[0] * width - 0.5, box[2] * width - 0.5
    top, bottom = box[1] * height - 0.5, box[3] * height - 0.5
    values = []
    for channel in feature_map:
        samples = []
        for row in range(cells * sampling):
            y = top + (row + 0.5) * (bottom - top) / (cells * sampling)
            for column in range(cells * sampling):
                x = left + (column + 0.5) * (right - left) / (cells * sampling)
                samples.append(bilinear(channel, y, x))
        values.append(math.fsum(samples) / len(samples))
    return values


@pytest.mark.parametrize(("cells", "sampling"), [(7, 2), (2, 3), (1, 1)])
def test_pooled_boxes_equal_the_oracle(cells: int, sampling: int) -> None:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(3, 4, 6, 9, generator=generator, dtype=torch.float64)
    corners = torch.rand(20, 2, 2, generator=generator, dtype=torch.float64).sort(dim=1).values
    boxes = torch.cat([corners[:, 0], corners[:, 1]], dim=1)
    boxes[0] = torch.tensor([0.0, 0.0, 1.0, 1.0])
    boxes[1] = torch.tensor([0.5, 0.5, 0.5001, 0.5001])  # far below a cell
    image_of = torch.arange(20) % 3
    pooled = pool_boxes(maps, image_of, boxes, cells, sampling)
    wanted = torch.tensor(
        [oracle(maps[int(image)], box, cells, sampling) for image, box in zip(image_of, boxes.tolist(), strict=True)],
        dtype=torch.float64,
    )
    torch.testing.assert_close(pooled, wanted, atol=1e-12, rtol=1e-12)


def test_a_box_reads_its_own_cells_and_is_not_shifted() -> None:
    """A map that is x: the mean over a box is the middle of the box. Unaligned pooling is half a cell off."""
    columns = torch.arange(8, dtype=torch.float64) + 0.5
    maps = columns.expand(1, 1, 8, 8)
    boxes = torch.tensor([[0.25, 0.25, 0.5, 0.75]], dtype=torch.float64)
    assert pool_boxes(maps, torch.tensor([0]), boxes, 7, 2).item() == pytest.approx(3.0)
