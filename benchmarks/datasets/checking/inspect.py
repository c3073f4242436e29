"""Looking into image files: size, whether they decode, their checksum, and the values of label maps."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from scenebench.coco.turning import SWAPS_SIDES, orientation_of

_DECODE_ERRORS = (
    *(OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, MemoryError),
    *(struct.error, zlib.error, Image.DecompressionBombError),
)
_INDEXED = ("P", "L")
IMAGE, MASK, BYTES = "image", "mask", "bytes"


@dataclass(frozen=True, slots=True)
class Task:
    """A file to look into, as an ``image``, a label ``mask`` or mere ``bytes``; ``quick`` reads headers alone."""

    relative: str
    path: Path
    kind: str
    quick: bool


@dataclass(frozen=True, slots=True)
class Content:
    """What was seen in a file.

    Attributes:
        kind, quick: as in the task.
        width, height: in pixels as stored; 0 where unknown.
        md5: of the bytes; empty in a quick look.
        error: why it does not decode; empty where it does.
        values: the different values of a mask, ascending; empty for anything else and in a quick look.
        sideways: EXIF turns it by a quarter, so that width and height change places.
    """

    kind: str
    quick: bool
    width: int = 0
    height: int = 0
    md5: str = ""
    error: str = ""
    values: tuple[int, ...] = ()
    sideways: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height in pixels as EXIF turns it."""
        return (self.height, self.width) if self.sideways else (self.width, self.height)


def look_into(tasks: Sequence[Task]) -> list[Content]:
    """Look into each file; never raises for what a file holds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large or oddly tagged picture is no fault
        return [_look(task) for task in tasks]


def _look(task: Task) -> Content:
    md5 = ""
    try:
        if task.quick and task.kind != BYTES:
            with Image.open(task.path) as image:
                return Content(
                    task.kind, True, *image.size, error=_mode_error(task, image), sideways=_is_sideways(image)
                )
        content = task.path.read_bytes()
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        if task.kind == BYTES:
            return Content(BYTES, task.quick, md5=md5)
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            error = _mode_error(task, image)
            values = _values(image) if task.kind == MASK and not error else ()
            return Content(task.kind, False, *image.size, md5, error, values, _is_sideways(image))
    except UnidentifiedImageError:
        return Content(task.kind, task.quick, md5=md5, error="is no image, or damaged from its start")
    except _DECODE_ERRORS as failure:
        text = " ".join(str(failure).replace(str(task.path), "the file").split()) or type(failure).__name__
        return Content(task.kind, task.quick, md5=md5, error=text[:200])


def _is_sideways(image: Image.Image) -> bool:
    return orientation_of(image) in SWAPS_SIDES


def _mode_error(task: Task, image: Image.Image) -> str:
    if task.kind == MASK and image.mode not in _INDEXED:
        return f"a label map in colours or of another depth (mode {image.mode}); expected 8-bit indices"
    return ""


def _values(image: Image.Image) -> tuple[int, ...]:
    counts = np.bincount(np.asarray(image).ravel(), minlength=256)
    return tuple(int(value) for value in np.flatnonzero(counts))
