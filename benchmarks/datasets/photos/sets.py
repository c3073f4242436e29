"""The three small sets: what each is a part of, which pictures are in it, and which of them train, validate and test.

The lists (``benchmarks/datasets/lists``) hold names alone; the pictures are their owners' and are never in the project.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from scenebench.errors import UserError

LISTS = Path(__file__).parent.parent / "lists"
SPLITS = ("train", "val", "test")
SIDE = 128
"""Pixels of the shorter side."""
HOW_TO_MAKE = (
    "make it with 'scenebench data prepare coco-small COCO_ROOT FOLDER/coco_small', 'ade20k-small ADE_ROOT "
    "FOLDER/ade20k_small' and 'voc-small VOC_ROOT FOLDER/voc_small' (docs/photos.md)"
)
_TEST_EVERY, _VAL_EVERY = 5, 10


@dataclass(frozen=True)
class PhotoSet:
    """One set.

    Attributes:
        of: the part of the published data set that the pictures are of, in words.
        given: its folder in a folder of pictures that are small already (:mod:`.given`).
        classes: their number.
        has_boxes: objects in boxes; else semantic maps.
        background: whether a map's 0 is a class. ADE20K's is what nobody labelled.
    """

    name: str
    of: str
    given: str
    classes: int
    has_boxes: bool = False
    background: bool = True

    @property
    def title(self) -> str:
        """What it is called in texts."""
        return f"{self.name}, a small part of {self.of}"

    @property
    def list_file(self) -> Path:
        """The committed list."""
        return LISTS / f"{self.name}.txt"


SETS = {
    one.name: one
    for one in (
        PhotoSet("coco_small", "COCO train2017", "coco", 71, has_boxes=True),
        PhotoSet("ade20k_small", "the validation set of ADE20K", "ade20k_val", 150, background=False),
        PhotoSet("voc_small", "VOC 2012 with the maps of SBD", "voc2012_seg", 20),
    )
}


def read_names(photo_set: PhotoSet, file: Path | None = None) -> list[str]:
    """File names of the pictures, sorted: those of the committed list, or of one's own ``file``.

    A list has an entry a line: COCO's number of a picture, of the others the name without ``.jpg``.

    Raises:
        UserError: no such list, an empty one, an entry of another form or given twice.
    """
    path = file or photo_set.list_file
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable list ({error})") from error
    if not lines:
        raise UserError(f"{path}: the list is empty")
    names = []
    for line in lines:
        if photo_set.has_boxes and not line.isdecimal():
            raise UserError(f"{path}: '{line}' is no number of a COCO picture")
        names.append(f"{int(line):012d}.jpg" if photo_set.has_boxes else f"{line.removesuffix('.jpg')}.jpg")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: {twice} is given twice")
    return sorted(names)


def hash_of_names(names: list[str]) -> str:
    """Sixteen hexadecimal digits that name a list, in whatever order."""
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def split_of(file_name: str) -> str:
    """``test`` for about a fifth of the pictures, ``val`` for a tenth of the others, else ``train``.

    By the SHA-256 of the file name: test where its first 8 hexadecimal digits are a multiple of 5, val where its next 8
    are one of 10.
    """
    digits = hashlib.sha256(file_name.encode()).hexdigest()
    if int(digits[:8], 16) % _TEST_EVERY == 0:
        return "test"
    return "val" if int(digits[8:16], 16) % _VAL_EVERY == 0 else "train"
