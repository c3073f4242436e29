"""One feature an object: of a frozen backbone, in three views, or what is had without one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.dense.maps import FrozenNetwork, layer_of, map_batches, map_key, settings_of
from benchmarks.dense.objects import Objects
from benchmarks.dense.roi_pooling import pool_boxes
from benchmarks.evaluation.cell import Cell
from benchmarks.evaluation.inputs import read_image, read_square
from benchmarks.frozen.colour_histogram import colour_histogram
from benchmarks.frozen.feature_cache import cached
from benchmarks.protocols.dense import RegionSettings
from scenebench.errors import UserError
from scenebench.progress import Progress
from transfer.backbone_file import Preprocessing

BOX_SHAPE, COLOUR_HISTOGRAM = "reference:box_shape", "reference:colour_histogram"


def object_features(cell: Cell, objects: Objects) -> Tensor:
    """Features of the cell's backbone or reference, read from the cache or computed: float32, K x C.

    Raises:
        UserError: an image cannot be decoded or does not divide into the backbone's cells.
    """
    settings = settings_of(cell)
    assert settings.region is not None
    region = settings.region
    if cell.backbone == BOX_SHAPE:
        return box_shapes(objects.boxes, objects.aspects)
    if cell.backbone == COLOUR_HISTOGRAM:
        return _colours(objects, settings.image_size)
    if cell.info is None:
        raise UserError(f"{cell.backbone}: has no features for protocol '{cell.protocol.id}'")
    compute = {"box": _pooled, "blanked": _blanked, "crop": _cropped}[region.view]
    key = map_key(
        cell,
        objects.images,
        layer=layer_of(cell),
        view=region.view,
        cells=[region.cells, region.sampling],
        objects=_stamp(objects),
    )
    return cached(key, len(objects), lambda: compute(cell, objects))


def box_shapes(boxes: Tensor, aspects: Tensor) -> Tensor:
    """What a box says without its pixels: centre, sides, area, and the logarithm of width by height: float32, K x 6.

    Args:
        boxes: K x 4: left, top, right, bottom as shares of the image's width and height.
        aspects: K: width by height in pixels.
    """
    centres, sides = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return torch.cat([centres, sides, sides.prod(dim=1, keepdim=True), aspects.log()[:, None]], dim=1).float()


def _pooled(cell: Cell, objects: Objects) -> Tensor:
    """RoIAlign in the box, on the map of the whole image."""
    region = _region(cell)
    features: list[Tensor] = []
    for batch, maps in map_batches(cell, objects.images, objects.shown):
        chosen = _of_images(objects, batch)
        own = objects.image_of[chosen]
        places = torch.searchsorted(torch.tensor(batch), own)
        features.append(pool_boxes(maps, places, objects.boxes[chosen], region.cells, region.sampling))
    return torch.cat(features)


def _blanked(cell: Cell, objects: Objects) -> Tensor:
    """The same on the image whose pixels in the box are the backbone's mean colour."""
    region, frozen, layer = _region(cell), FrozenNetwork.of(cell), layer_of(cell)
    mean = _mean_colour(frozen.preprocessing)
    features = []
    for rows, images in _one_image_an_object(cell, objects):
        for image, row in zip(images, rows, strict=True):
            left, top, right, bottom = pixels_of(objects.boxes[row], images.shape[-1])
            image[:, top:bottom, left:right] = mean
        maps = frozen.maps(images)[layer]
        features.append(pool_boxes(maps, torch.arange(len(rows)), objects.boxes[rows], region.cells, region.sampling))
    return torch.cat(features)


def _mean_colour(preprocessing: Preprocessing) -> Tensor:
    """uint8, RGB, 3 x 1 x 1: what the network takes as 0."""
    mean = torch.tensor(preprocessing.on_255_scale()[0])
    mean = mean.flip(0) if preprocessing.channel_order == "BGR" else mean
    return mean.round().clamp(0, 255).to(torch.uint8)[:, None, None]


def _cropped(cell: Cell, objects: Objects) -> Tensor:
    """The global mean of the map of the box alone, resized to the whole input."""
    frozen, layer = FrozenNetwork.of(cell), layer_of(cell)
    return torch.cat([frozen.maps(images)[layer].mean(dim=(2, 3)) for _, images in _crops(cell, objects)])


def _crops(cell: Cell, objects: Objects) -> Iterator[tuple[list[int], Tensor]]:
    settings = settings_of(cell)
    progress = Progress(len(objects), "cropped objects")
    for rows in _chunks(len(objects), settings.batch_size):
        crops = []
        for row in rows:
            image = read_image(objects.images.paths[int(objects.image_of[row])])
            corners = (objects.boxes[row] * torch.tensor([*image.size, *image.size])).tolist()
            size = (settings.image_size, settings.image_size)
            crops.append(
                np.asarray(image.resize(size, Image.Resampling.BILINEAR, box=tuple(corners))).transpose(2, 0, 1)
            )
        yield rows, torch.from_numpy(np.stack(crops))
        progress.advance(len(rows))


def _one_image_an_object(cell: Cell, objects: Objects) -> Iterator[tuple[list[int], Tensor]]:
    """Batches of objects with a copy of its image for each: uint8, n x 3 x S x S."""
    settings = settings_of(cell)
    progress = Progress(len(objects), "blanked objects")
    for rows in _chunks(len(objects), settings.batch_size):
        paths = [objects.images.paths[position] for position in objects.image_of[rows].tolist()]
        yield rows, torch.from_numpy(np.stack([read_square(path, settings.image_size) for path in paths]))
        progress.advance(len(rows))


def _colours(objects: Objects, size: int) -> Tensor:
    """:func:`colour_histogram` of each box."""
    rows = []
    shown, image = -1, torch.empty(0)
    for row, position in enumerate(objects.image_of.tolist()):
        if position != shown:
            shown, image = position, torch.tensor(read_square(objects.images.paths[position], size))
        left, top, right, bottom = pixels_of(objects.boxes[row], size)
        rows.append(colour_histogram(image[:, top:bottom, left:right]))
    return torch.stack(rows)


def pixels_of(box: Tensor, size: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, half-open, of every pixel that a box of relative coordinates touches."""
    left, top = (int(value) for value in (box[:2] * size + 1e-9).floor().clamp(0, size - 1))
    right, bottom = (int(value) for value in (box[2:] * size - 1e-9).ceil().clamp(1, size))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def _of_images(objects: Objects, positions: Sequence[int]) -> Tensor:
    """Rows of the objects of these images; objects stand in the order of their images."""
    return torch.nonzero(torch.isin(objects.image_of, torch.tensor(positions))).flatten()


def _chunks(count: int, size: int) -> list[list[int]]:
    return [list(range(start, min(start + size, count))) for start in range(0, count, size)]


def _region(cell: Cell) -> RegionSettings:
    region = settings_of(cell).region
    assert region is not None
    return region


def _stamp(objects: Objects) -> str:
    """Names these boxes in these images."""
    total = hashlib.sha256(objects.image_of.numpy().tobytes())
    total.update(objects.boxes.numpy().tobytes())
    return total.hexdigest()[:16]
