"""Bringing a picture of any kind to what the prepared data set holds: an 8-bit RGB JPEG without EXIF rotation.

Plain RGB JPEGs are taken over byte for byte: as copies, which share their blocks with the originals where the file
system can do that; as hard links only if asked, for what changes one then changes the other. The rest is decoded and
written once, at quality 95:

* grey, palette, CMYK, transparent and deeper pictures become 8-bit RGB by the rule of :mod:`scenebench.pictures`, which
  refuses those whose values do not say what is white;
* a picture that EXIF turns is stored as the JSON describes it: turned upright if that fits the JSON's width and height
  (also where both fit, as in squares: that is how viewers and annotation tools show it), else as it lies in the file;
* a truncated picture is kept as far as it decodes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps

from benchmarks.datasets.shape import shape_problem
from benchmarks.datasets.writing import write_jpeg
from scenebench.coco.turning import SWAPS_SIDES, choose_upright, orientation_of
from scenebench.errors import UserError
from scenebench.pictures import DECODING_ERRORS, Depth, UnclearPicture, depth_of, to_rgb

_DECODE_ERRORS = (OSError, *DECODING_ERRORS)
_FICLONE = 0x40049409  # of Linux's <linux/fs.h>: share the blocks of another file
_TURNED = frozenset(range(2, 9))

COPIED = "pictures taken over byte for byte, as copies"
LINKED = "pictures taken over as hard links: WHOEVER CHANGES ONE CHANGES YOUR ORIGINAL"
TRUNCATED = "truncated pictures kept as far as they decode"
UPRIGHT = "pictures turned upright, as their EXIF data says and the JSON's size agrees"
NOT_TURNED = "pictures left unturned: the JSON's size is that of the stored pixels, so their EXIF rotation was removed"


@dataclass
class TakenImage:
    """What became of a picture: its size as prepared, and phrases of what was mended and how it was taken."""

    width: int
    height: int
    repairs: list[str] = field(default_factory=list)


def take_image(
    source: Path, target: Path, expected: tuple[int | None, int | None], where: str, link: bool = False
) -> TakenImage:
    """Write ``source`` to ``target`` as an 8-bit RGB JPEG.

    Args:
        expected: the JSON's width and height in pixels; None where it says none.
        where: names the image in errors.
        link: a picture that stays as it is becomes a hard link to ``source``, where that is possible.

    Raises:
        UserError: it cannot be decoded at all, is far longer than wide (see ``shape``), or its size fits the JSON
            neither as stored nor as turned by EXIF.
        OSError: ``target`` cannot be written.
    """
    image, depth, truncated = _decode(source, where)
    problem = shape_problem(*image.size)
    if problem:
        raise UserError(f"{where}: {source} has {problem}; crop it, or take it out of the JSON")
    orientation = orientation_of(image)
    upright = _choose_upright(image.size, orientation, expected, where)
    width, height = image.size[::-1] if upright and orientation in SWAPS_SIDES else image.size
    taken = TakenImage(width, height)
    if truncated:
        taken.repairs.append(TRUNCATED)
    if orientation in _TURNED:
        taken.repairs.append(UPRIGHT if upright else NOT_TURNED)
    if image.format == "JPEG" and image.mode == "RGB" and not taken.repairs:
        taken.repairs.append(LINKED if link and _linked(source, target) else COPIED)
        if COPIED in taken.repairs:
            _copy(source, target)
        return taken
    kind = f"{image.format or 'unknown'} {image.mode}"
    if not (image.format == "JPEG" and image.mode == "RGB"):
        taken.repairs.append(f"{kind} pictures written as RGB JPEG")
    try:
        pixels = to_rgb(image, depth)
    except UnclearPicture as error:
        raise UserError(f"{where}: {source} holds {error}") from error
    write_jpeg(target, np.asarray(ImageOps.exif_transpose(_with_orientation(pixels, orientation if upright else 1))))
    return taken


def _decode(path: Path, where: str) -> tuple[Image.Image, Depth, bool]:
    """The decoded picture, the depth of its file, and whether only a part of it could be decoded."""
    try:
        return *_open(path), False
    except _DECODE_ERRORS as error:
        reason = " ".join(str(error).split())
    try:
        with _tolerating_truncation():
            image, depth = _open(path)
    except _DECODE_ERRORS as error:
        raise UserError(f"{where}: {path} cannot be decoded ({reason}); repair or remove it") from error
    if all(low == high for low, high in _extremes(image)):
        raise UserError(f"{where}: {path} is truncated before its first pixels ({reason}); repair or remove it")
    return image, depth, True


def _open(path: Path) -> tuple[Image.Image, Depth]:
    with warnings.catch_warnings():
        # Harmless remarks on odd metadata, and on pictures that are large but not refused.
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            depth = depth_of(image)
            image.load()
            return image, depth


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


def _with_orientation(image: Image.Image, orientation: int) -> Image.Image:
    """A copy whose only EXIF entry is ``orientation``."""
    bare = Image.fromarray(np.asarray(image))
    bare.getexif()[ExifTags.Base.Orientation] = orientation
    return bare


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another file system, or one without links
        return False
    return True


def _copy(source: Path, target: Path) -> None:
    """A copy of the bytes; one that takes no room where the file system can share blocks (Btrfs, XFS)."""
    with open(source, "rb") as original, open(target, "wb") as copy:
        try:
            fcntl.ioctl(copy, _FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 1 << 20)
