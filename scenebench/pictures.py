"""From what a file stores to 8-bit RGB: one rule for every reader of people's own pictures.

Grey, palette, CMYK and 1-bit pictures become RGB as Pillow converts them; transparency is left away. Deeper pictures
are brought to 8 bits only where it is clear what their white is:

* a 12-bit TIFF states it (12-bit PGM and JPEG 2000 too, and Pillow scales those to 16 bits);
* integers up to 255 are 8-bit values in a wider file, and taken as they are;
* integers up to 65535, of which the largest is at least a quarter of that (or which were all scaled up from 8 bits),
  are 16-bit values: their upper byte is taken;
* floating-point numbers from 0 to 1 are multiplied by 255; such whose largest is at least a quarter of 255 or of 65535
  are taken for 8-bit and 16-bit values.

All else could come out black or far too dark, 12 bits in a 16-bit file for one: it is refused with the reason.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Formats that Pillow decodes by itself, with the suffixes that they come under. (Some others start programs, hold no
# raster or are no pictures.)
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
}
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
DECODING_ERRORS = (
    *(SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
"""What Pillow raises on broken files, apart from OSError."""
_REMEDY = "convert it to 8 bits"
_WHITE_8, _WHITE_16 = 255, 65535
_QUARTER_8, _QUARTER_16 = 64, 16384
_SLACK = 1e-3  # by which rounding leaves the range from 0 to 1
_TIFF_BITS = 258
_BY_WAY_OF = {"PA": "RGBA", "RGBa": "RGBA", "La": "LA"}  # Pillow goes there first, and only if told to


class UnclearPicture(Exception):
    """A picture whose values do not say what is white; the message says what they are, and what to do."""


class Depth(NamedTuple):
    """What a file says of its values, which Pillow forgets with the first pixel.

    Attributes:
        white: the largest value of the stated bits, where they are neither 8 nor 16; else 0. (A file of 16 bits says
            nothing: writers put 12 bits into it.)
        is_wide_colour: 16 bits a channel, of which Pillow keeps the upper 8.
    """

    white: int = 0
    is_wide_colour: bool = False


def suffix_of(name: str) -> str:
    """The suffix in lower case; "" where there is none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - 10x faster


def depth_of(image: Image.Image) -> Depth:
    """The depth of a picture that was opened and not yet loaded."""
    wide = image.mode[0] not in "IF" and any(";16" in mode and not mode.startswith("BGR") for mode in _raw_modes(image))
    return Depth(_stated_white(image), wide)


def to_rgb(image: Image.Image, depth: Depth) -> Image.Image:
    """An 8-bit RGB picture of the same size, by the rule of this module.

    Args:
        depth: of the file, by :func:`depth_of`.

    Raises:
        UnclearPicture: it is not clear what is white, or Pillow knows no way from its colours to RGB.
        OSError and the like: the pixels cannot be decoded.
    """
    if image.mode == "F":
        image = Image.fromarray(_from_floats(np.asarray(image)))
    elif image.mode.startswith("I"):
        image = Image.fromarray(_from_integers(np.asarray(image), depth.white))
    elif image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    try:
        if image.mode in _BY_WAY_OF:
            image = image.convert(_BY_WAY_OF[image.mode])
        converted = image.convert("RGB")
    except ValueError as error:
        raise UnclearPicture(f"colours of kind {image.mode}, which have no way to RGB; {_REMEDY} RGB") from error
    if depth.is_wide_colour:
        largest = max(high for _, high in converted.getextrema())  # type: ignore[misc] # three channels: three pairs
        if largest < _QUARTER_16 >> 8:
            raise UnclearPicture(
                f"16-bit colours with values below {(largest + 1) << 8} only: it is not clear what is white; {_REMEDY}"
            )
    return converted


def _from_integers(values: NDArray[np.integer], white: int) -> NDArray[np.uint8]:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _WHITE_16:
        raise UnclearPicture(f"whole numbers from {low} to {high}, more than 16 bits; {_REMEDY}")
    if white:
        return (values.astype(np.int64) * (_WHITE_8 + 1) // (white + 1)).astype(np.uint8)
    if high <= _WHITE_8:
        return values.astype(np.uint8)
    if high >= _QUARTER_16 or not (values % 257).any() or not (values % 256).any():
        return (values.astype(np.int64) // 256).astype(np.uint8)
    raise UnclearPicture(
        f"whole numbers up to {high}: neither 8 nor 16 bits are used ({high.bit_length()} are), "
        f"so it is not clear what is white; {_REMEDY}"
    )


def _from_floats(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    if not np.isfinite(values).all():
        raise UnclearPicture(f"floating-point numbers that are not all finite; {_REMEDY}")
    low, high = float(values.min()), float(values.max())
    if low >= -_SLACK and high <= 1 + _SLACK:
        scaled = values.astype(np.float64) * _WHITE_8
    elif low >= 0 and _QUARTER_8 <= high <= _WHITE_8:
        scaled = values.astype(np.float64)
    elif low >= 0 and _QUARTER_16 <= high <= _WHITE_16:
        return (values.astype(np.int64) // 256).astype(np.uint8)
    else:
        raise UnclearPicture(
            f"floating-point numbers from {low:g} to {high:g}, no range of pictures (0 to 1, 255 or 65535); {_REMEDY}"
        )
    return np.clip(np.rint(scaled), 0, _WHITE_8).astype(np.uint8)


def _stated_white(image: Image.Image) -> int:
    bits = image.tag_v2.get(_TIFF_BITS) if image.format == "TIFF" else None  # type: ignore[attr-defined]
    depths = set(bits) if isinstance(bits, tuple) else {bits}
    return 4095 if depths == {12} else 0


def _raw_modes(image: Image.Image) -> Iterator[str]:
    for tile in getattr(image, "tile", []):
        arguments = tile[3]
        first = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
        if isinstance(first, str):
            yield first
