"""What every reader of an official layout gives: images with their annotations, as plain typed values.

A reader tells each fault it meets to a ``Fault``. :func:`strict` raises, which is what a protocol wants; ``data check``
collects instead and the reader goes on without the faulty item.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scenebench.errors import UserError, require_choice

Fault = Callable[[str, Path, str], None]
"""Takes the kind of a fault (one of ``checking.findings.KINDS``), the file, and what is wrong with it."""


class Box(NamedTuple):
    """One annotated object. (A tuple, for COCO has 860,000 of them.)

    Attributes:
        label: index into the data set's classes, 0-based.
        left, top, right, bottom: in pixels, 0-based and half-open: a box over the whole image is 0, 0, width, height.
        difficult: VOC's flag; such objects are neither found nor missed in VOC's evaluation.
        crowd: COCO's flag.
        where: names the annotation in messages.
    """

    label: int
    left: float
    top: float
    right: float
    bottom: float
    difficult: bool = False
    crowd: bool = False
    where: str = "box"


@dataclass(frozen=True, slots=True)
class Sample:
    """One image.

    Attributes:
        image: the file.
        labels: classes of the whole image, 0-based: one in classification, any number in multi-label data (VOC: those
            with an object that is not difficult; COCO: those with any object).
        boxes: in the order of the annotation file.
        mask: semantic map, where the split has one.
        size: width and height as the annotation says; None where it does not.
    """

    image: Path
    labels: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()
    mask: Path | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class OfficialData:
    """A data set read from its official layout.

    Attributes:
        classes: names, in the order of the labels.
        splits: the official splits, and their unions under their usual names (``trainval``).
        disjoint: groups of splits that must not share an image.
        mask_values: what a semantic map may hold; None where there are no maps.
        smallest_box: a box must be wider and higher than this many pixels. 0; for VOC 1, whose coordinates are those of
            the outermost pixels, so that ``xmin == xmax`` is a box without extent that reads as one pixel.
        notes: what is unusual and no fault, in words.
    """

    name: str
    root: Path
    classes: list[str]
    splits: dict[str, list[Sample]]
    disjoint: Sequence[tuple[str, ...]]
    mask_values: frozenset[int] | None = None
    smallest_box: float = 0.0
    notes: Sequence[str] = ()

    def split(self, name: str) -> list[Sample]:
        """The samples of one split.

        Raises:
            UserError: there is no such split.
        """
        require_choice(f"{self.root}: split", name, self.splits)
        return self.splits[name]


def strict(kind: str, path: Path, message: str) -> None:
    """The fault handler of a reader that must be able to trust its data.

    Raises:
        UserError: always.
    """
    raise UserError(f"{path}: {message}; 'scenebench data check' lists every fault")
