"""Making a picture and its map small: the shorter side 128 pixels, nothing cut away.

The longer side: to that of a picture whose shorter side is 256 pixels, rounded, and half of it, rounded down. (500x442
becomes 145x128, 640x480 170x128, 640x427 192x128.)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.photos.sets import SIDE

JPEG_QUALITY = 88
SQUARE = 256
"""Side of the square that COCO's pictures go through once."""


def small_size(width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture once it is small."""
    longer, shorter = max(width, height), min(width, height)
    side = round(2 * SIDE * longer / shorter) // 2
    return (side, SIDE) if width >= height else (SIDE, side)


def shrink_picture(picture: Image.Image, size: tuple[int, int], through_square: bool) -> Image.Image:
    """An RGB picture at ``size`` (width, height), bicubic."""
    if through_square:
        picture = picture.resize((SQUARE, SQUARE), Image.Resampling.BICUBIC)
    return picture.resize(size, Image.Resampling.BICUBIC)


def shrink_map(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A map of labels (height x width, uint8) at ``size`` (width, height): of each new pixel the nearest old one."""
    image = Image.fromarray(labels)
    return np.asarray(image if image.size == size else image.resize(size, Image.Resampling.NEAREST))


def write_small_jpeg(path: Path, picture: Image.Image) -> None:
    """At quality 88, as the pictures that the published numbers are of."""
    picture.save(path, format="JPEG", quality=JPEG_QUALITY)
