"""What a small set is made of: one entry a picture, wherever the picture comes from, and what its annotations mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets.folder import IGNORED
from benchmarks.datasets.photos.sets import LISTS, PhotoSet
from benchmarks.datasets.readers.voc import VOC_CLASSES
from scenebench.coco.boxes import Box
from scenebench.errors import UserError

_FOREIGN = -1


@dataclass(frozen=True)
class Entry:
    """One picture.

    Attributes:
        file_name: as the set calls it, ``.jpg``.
        picture: the file.
        map: its map of labels; None in a set with boxes.
        boxes: (index of the category, box, crowd) of each object, in pixels of a picture of ``size``.
        size: width and height as the annotation says; None where it does not.
    """

    file_name: str
    picture: Path
    map: Path | None = None
    boxes: tuple[tuple[int, Box, bool], ...] = ()
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Pictures:
    """All of a set, read and not yet written.

    Attributes:
        categories: (id, name), sorted by id.
        shrinks: the pictures are the owners', and are made small; else they are small and taken over byte for byte.
        how: where the files came from, in words, for the record.
    """

    categories: list[tuple[int, str]]
    entries: list[Entry]
    shrinks: bool
    how: str


def require_all(names: Sequence[str], there: Iterable[str], where: Path | str) -> None:
    """Each name of a list must be there.

    Raises:
        UserError: naming the first that is not, and how many more are not.
    """
    known = set(there)
    lacking = [name for name in names if name not in known]
    if lacking:
        more = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise UserError(
            f"{where}: lacks {lacking[0]}{more} of the {len(names)} pictures of the list; nothing was written"
        )


def map_categories(name: str) -> list[tuple[int, str]]:
    """Number in the official maps and name of each category of a set with maps."""
    if name == "voc_small":
        return list(enumerate(VOC_CLASSES, start=1))
    return list(enumerate(ade20k_classes(), start=1))


def ade20k_classes() -> list[str]:
    """The 150 classes of ADE20K's scene parsing, in the order of the labels."""
    return (LISTS / "ade20k_classes.txt").read_text(encoding="utf-8").splitlines()


def label_table(photo_set: PhotoSet) -> NDArray[np.int16]:
    """What an official label becomes in a prepared map, int16 of 256; -1: it is no label.

    VOC: 0 background, 1-20, 255 ignored, as they are. ADE20K: 0 (not labelled) is ignored, 1-150 become 0-149.
    """
    table = np.full(256, _FOREIGN, dtype=np.int16)
    if photo_set.background:
        table[: len(VOC_CLASSES) + 1] = np.arange(len(VOC_CLASSES) + 1)
        table[IGNORED] = IGNORED
    else:
        table[0] = IGNORED
        table[1 : photo_set.classes + 1] = np.arange(photo_set.classes)
    return table
