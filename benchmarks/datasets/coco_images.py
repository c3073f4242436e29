"""Bringing a picture of any kind to what the prepared data set holds: an 8-bit RGB JPEG without EXIF rotation.

Plain RGB JPEGs are taken over byte for byte. The rest is decoded and written once, at quality 95:

* grey, palette, CMYK and transparent pictures become RGB, as Pillow converts them (transparency is left away);
* 16-bit grey is divided by 257 (65535 becomes 255);
* a picture that EXIF turns is stored as the JSON describes it: turned upright if that fits the JSON's width and height
  (also where both fit, as in squares: that is how viewers and annotation tools show it), else as it lies in the file;
* a truncated picture is kept as far as it decodes.
"""

from __future__ import annotations

import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from benchmarks.datasets.writing import write_jpeg
from scenebench.coco.turning import SWAPS_SIDES, choose_upright, orientation_of
from scenebench.errors import UserError

_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
_TURNED = frozenset(range(2, 9))

TRUNCATED = "truncated pictures kept as far as they decode"
UPRIGHT = "pictures turned upright, as their EXIF data says and the JSON's size agrees"
NOT_TURNED = "pictures left unturned: the JSON's size is that of the stored pixels, so their EXIF rotation was removed"


@dataclass
class TakenImage:
    """What became of a picture: its size in the prepared data set and the phrases of what was mended."""

    width: int
    height: int
    repairs: list[str] = field(default_factory=list)


def take_image(source: Path, target: Path, expected: tuple[int | None, int | None], where: str) -> TakenImage:
    """Write ``source`` to ``target`` as an 8-bit RGB JPEG.

    Args:
        expected: the JSON's width and height in pixels; None where it says none.
        where: names the image in errors.

    Raises:
        UserError: it cannot be decoded at all, or its size fits the JSON neither as stored nor as turned by EXIF.
        OSError: ``target`` cannot be written.
    """
    image, truncated = _decode(source, where)
    orientation = orientation_of(image)
    upright = _choose_upright(image.size, orientation, expected, where)
    width, height = image.size[::-1] if upright and orientation in SWAPS_SIDES else image.size
    taken = TakenImage(width, height)
    if truncated:
        taken.repairs.append(TRUNCATED)
    if orientation in _TURNED:
        taken.repairs.append(UPRIGHT if upright else NOT_TURNED)
    if image.format == "JPEG" and image.mode == "RGB" and not taken.repairs:
        _link_or_copy(source, target)
        return taken
    kind = f"{image.format or 'unknown'} {image.mode}"
    if not (image.format == "JPEG" and image.mode == "RGB"):
        taken.repairs.append(f"{kind} pictures written as RGB JPEG")
    pixels = _to_rgb(image, where)
    write_jpeg(target, np.asarray(ImageOps.exif_transpose(_with_orientation(pixels, orientation if upright else 1))))
    return taken


def _decode(path: Path, where: str) -> tuple[Image.Image, bool]:
    """The decoded picture, and whether only a part of it could be decoded."""
    try:
        return _open(path), False
    except _DECODE_ERRORS as error:
        reason = " ".join(str(error).split())
    try:
        with _tolerating_truncation():
            image = _open(path)
    except _DECODE_ERRORS as error:
        raise UserError(f"{where}: {path} cannot be decoded ({reason}); repair or remove it") from error
    if all(low == high for low, high in _extremes(image)):
        raise UserError(f"{where}: {path} is truncated before its first pixels ({reason}); repair or remove it")
    return image, True


def _open(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Harmless remarks on odd metadata, and on pictures that are large but not refused.
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
            return image


@contextmanager
def _tolerating_truncation() -> Iterator[None]:
    before = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def _extremes(image: Image.Image) -> list[tuple[float, float]]:
    extremes = image.getextrema()
    return [extremes] if isinstance(extremes[0], int | float) else list(extremes)


def _choose_upright(
    size: tuple[int, int], orientation: int, expected: tuple[int | None, int | None], where: str
) -> bool:
    try:
        return choose_upright(size, orientation, expected)
    except ValueError as error:
        raise UserError(f"{where}: {error}") from error


def _to_rgb(image: Image.Image, where: str) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise UserError(f"{where}: its grey values go beyond 16 bits; convert it to 8 bits")
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise UserError(f"{where}: its pixels are floating-point numbers of unknown range; convert it to 8 bits")
    if image.mode == "P" and "transparency" in image.info:
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """A copy whose only EXIF entry is ``orientation``."""
    bare = Image.fromarray(np.asarray(image))
    bare.getexif()[ExifTags.Base.Orientation] = orientation
    return bare


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
