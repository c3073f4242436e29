"""What the pixels below the patches of a grid are labelled, and how maps are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from benchmarks.datasets.folder import IGNORED
from scenebench.errors import UserError


def read_map(path: Path, image_path: Path, classes: int) -> NDArray[np.uint8]:
    """A semantic map of the size of its image: uint8, H x W.

    Raises:
        UserError: it cannot be decoded, is no map of 8-bit labels, is of another size than the image, or holds a value
            that is no class and not 255.
    """
    try:
        with Image.open(path) as file:
            labels = np.asarray(file)
        with Image.open(image_path) as image:
            size = image.size
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: cannot be decoded with its image ({error}); repair it or remove both") from error
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(f"{path}: is no map of 8-bit labels, but {labels.dtype} of shape {labels.shape}")
    if labels.shape != (size[1], size[0]):
        raise UserError(
            f"{path}: {labels.shape[1]} x {labels.shape[0]} pixels, and its image {image_path.name} has "
            f"{size[0]} x {size[1]}; a map must lie on its image pixel by pixel"
        )
    foreign = [int(value) for value in np.unique(labels) if classes <= value != IGNORED]
    if foreign:
        raise UserError(
            f"{path}: holds label {foreign[0]}; the {classes} classes are 0-{classes - 1}, and {IGNORED} is ignored"
        )
    return labels


def patch_histograms(labels: NDArray[np.uint8], rows: int, columns: int, classes: int) -> Tensor:
    """How many pixels of each class lie below each patch: float32, rows x columns x classes.

    The grid is laid over the whole map; a pixel belongs to the patch that holds its centre. Ignored pixels count for no
    class, so a patch of them alone has a row of zeros.
    """
    height, width = labels.shape
    row_of = (np.arange(height) * 2 + 1) * rows // (2 * height)
    column_of = (np.arange(width) * 2 + 1) * columns // (2 * width)
    patch_of = row_of[:, None] * columns + column_of[None]
    counted = labels != IGNORED
    places = patch_of[counted] * classes + labels[counted]
    counts = np.bincount(places, minlength=rows * columns * classes)
    return torch.from_numpy(counts.reshape(rows, columns, classes)).float()
