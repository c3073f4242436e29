"""Pictures that EXIF turns: whether a file's width and height mean the picture as stored or as shown, and its mask."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

# What Pillow raises on broken files.
_UNREADABLE = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, AttributeError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
_ORIENTATIONS = range(1, 9)
SWAPS_SIDES = frozenset(range(5, 9))
"""EXIF orientations that exchange width and height. 1 is upright; 2 to 8 turn or mirror the picture."""


def choose_upright(size: tuple[int, int], orientation: int, expected: tuple[int | None, int | None]) -> bool:
    """Whether a JSON means the picture as EXIF turns it; also where both fit, for so viewers and editors show it.

    Args:
        size: stored width and height in pixels.
        orientation: of EXIF, 1 to 8.
        expected: the JSON's width and height; None where it says none.

    Raises:
        ValueError: neither fits.
    """
    upright = upright_size(size, orientation)
    for candidate, answer in ((upright, True), (size, False)):
        if all(want is None or want == have for want, have in zip(expected, candidate, strict=True)):
            return answer
    turned = "" if upright == size else f" or, turned by EXIF, {upright[0]} x {upright[1]}"
    raise ValueError(f"the JSON says {expected[0]} x {expected[1]} pixels, the file has {size[0]} x {size[1]}{turned}")


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """Width and height of a picture as EXIF turns it, from those stored."""
    return (size[1], size[0]) if orientation in SWAPS_SIDES else size


def turn_upright(mask: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A mask of the stored pixels, height x width, turned as EXIF turns their picture."""
    if orientation in SWAPS_SIDES:
        mask = mask.T
    flip_rows = orientation in (3, 4, 7, 8)
    flip_columns = orientation in (2, 3, 6, 7)
    return mask[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of an opened picture, 1 to 8; 1 where it says none that is one."""
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _UNREADABLE:
        return 1
    return value if value in _ORIENTATIONS else 1


def read_header(stream: BinaryIO) -> tuple[tuple[int, int], int] | None:
    """Stored width and height in pixels, and EXIF's orientation; None where there is no readable header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large or oddly tagged picture is no fault of its annotations
            with Image.open(stream) as image:
                return image.size, orientation_of(image)
    except _UNREADABLE:
        return None


def size_of_file(file: Path) -> tuple[int, int] | None:
    """Width and height of a picture turned upright; None where they cannot be read."""
    try:
        with open(file, "rb") as stream:
            header = read_header(stream)
    except OSError:
        return None
    if header is None:
        return None
    return upright_size(*header)
