"""Labels and object masks of the pretraining images from a COCO instances JSON (``data.annotations``).

Only the supervised bound, the oracles (labels of MLS, saliency maps), the kNN probe and the diagnostics read them. The
file is read by ``scenebench.coco``, as ``scenebench data coco`` reads it: the same objects, or the same refusal.
Crowd regions count like any other object, as in the multi-label lists of ``benchmarks/datasets``.
"""

from __future__ import annotations

import functools
import os
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor

from pretrain.data.sources import ImageFile, ImageFiles
from pretrain.data.sources.image_file import open_image_file
from pretrain.distributed import is_main
from scenebench.coco import boxes
from scenebench.coco.boxes import Evidence
from scenebench.coco.document import CocoFile, ImageEntry, read_coco_file
from scenebench.coco.file_names import composed, describe_other_forms, parts_of
from scenebench.coco.mends import CLIPPED, NO_BOX, Mend
from scenebench.coco.objects import CocoObject, read_object
from scenebench.coco.turning import choose_upright, read_header, turn_upright, upright_size
from scenebench.coco.values import shown
from scenebench.errors import UserError

KEY = "data.annotations"
UNIFORM = 255  # every cell of a map that says nothing of where to look

_UNTOLD = (CLIPPED, NO_BOX)  # nothing here depends on a box beside its mask


def multilabels(annotations: Path | str, images: ImageFiles) -> tuple[Tensor, Tensor]:
    """Which categories each image holds.

    Args:
        annotations: a COCO instances JSON. Its images are found among ``images`` by file name: where ``file_name`` has
            folders by the end of the path, else by the base name.
        images: the pretraining images.

    Returns:
        uint8 0/1, N x C, columns in the order of the category ids, which may have gaps; and bool, N: whether the JSON
        lists the image. A listed image may hold nothing. Rows of images that are not listed are 0.

    Raises:
        UserError: (naming ``data.annotations``) no such file, not COCO instances, an annotation of an unknown image or
            category or that cannot be read, boxes that mostly contradict their masks, a name that fits several images,
            no image in common.
    """
    path = Path(annotations)
    labels, labelled = _multilabels(path, _stamp(path), tuple(images))
    return labels.clone(), labelled.clone()


@functools.lru_cache(maxsize=1)
def _multilabels(path: Path, stamp: tuple[int, int], images: tuple[ImageFile, ...]) -> tuple[Tensor, Tensor]:
    """The method, the probe and the diagnostics of a run all ask."""
    read = _Annotated.read(path, images)
    labels = torch.zeros(len(images), len(read.coco.categories), dtype=torch.uint8)
    labelled = torch.zeros(len(images), dtype=torch.bool)
    for index, entry in read.entries.items():
        labelled[index] = True
        for category in read.categories(entry, images[index]):
            labels[index, category] = 1
    read.finish()
    return labels, labelled


def labels_of_all(annotations: Path | str, images: ImageFiles, needed_by: str) -> Tensor:
    """The labels of :func:`multilabels` where every image must be listed.

    Args:
        annotations: "" where none are given.
        needed_by: the key and value that ask for labels, for errors.

    Raises:
        UserError: as :func:`multilabels`; none are given, or an image is not listed.
    """
    if not annotations:
        raise UserError(f"{KEY}: {needed_by} needs labels; add {KEY}=FILE, a COCO instances JSON")
    labels, labelled = multilabels(annotations, images)
    missing = (~labelled).nonzero().flatten().tolist()
    if missing:
        raise UserError(
            f"{KEY}: {annotations} does not list {len(missing)} of the {len(images)} images (the first is "
            f"{images[missing[0]]}), but {needed_by} needs a label for each; take them out of data.root"
        )
    return labels


def object_maps(annotations: Path | str, images: ImageFiles, cells: tuple[int, int]) -> Tensor:
    """The share of each cell that any object covers, as an oracle of where the objects are.

    The image, turned upright as training sees it, is parted into ``h x w`` equal cells, whatever its shape; shares are
    exact, then rounded to 8 bits. An object without a mask covers its box. A JSON may have the masks of a picture that
    EXIF turns as it is stored or as it is shown: its width and height tell.

    Args:
        cells: (h, w).

    Returns:
        uint8, N x h x w, 255 where the cell is fully covered; 255 everywhere for an image that is not listed, has no
        object, or whose objects are too small for any cell to show them.

    Raises:
        UserError: as :func:`multilabels`, and an image of another size than the JSON says.
    """
    read = _Annotated.read(Path(annotations), images)
    maps = torch.full((len(images), *cells), UNIFORM, dtype=torch.uint8)
    for index, entry in read.entries.items():
        width, height, turn = read.size(entry, images[index])
        objects = read.objects(entry, width, height)
        if not objects:
            continue
        mask = turn_upright(_union(objects, width, height), turn).astype(np.float64)
        rows, columns = mask.shape
        shares = _cell_weights(cells[0], rows) @ mask @ _cell_weights(cells[1], columns).T
        values = np.rint(255 * shares).astype(np.uint8)
        if values.any():
            maps[index] = torch.from_numpy(values)
    read.finish()
    return maps


@dataclass
class _Annotated:
    """A JSON beside the images it is read for.

    Attributes:
        entries: those that are among the images, by index into these.
        mends, evidence: of what has been read so far.
    """

    coco: CocoFile
    entries: dict[int, ImageEntry]
    notes: list[str]
    mends: Counter[Mend] = field(default_factory=Counter)
    evidence: Evidence = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path, images: ImageFiles) -> _Annotated:
        try:
            coco = read_coco_file(path)
        except UserError as error:
            raise UserError(f"{KEY}: {error}") from error
        matching = _Matching(images)
        entries: dict[int, ImageEntry] = {}
        for entry in coco.images:
            index = matching.find(entry.file_name, path)
            if index in entries:
                raise UserError(f"{KEY}: {path}: file_name {shown(entry.file_name)} is given twice")
            if index is not None:
                entries[index] = entry
        if not entries:
            example = coco.images[0].file_name if coco.images else "nothing"
            raise UserError(
                f"{KEY}: {path} lists none of the images of data.root ('{example}' there, "
                f"{images[0]} here); give the annotations of these images"
            )
        return cls(coco, entries, [describe_other_forms(matching.other_form)] if matching.other_form else [])

    def categories(self, entry: ImageEntry, image: ImageFile) -> set[int]:
        """What the image holds. The picture is opened only where the JSON does not say its size."""
        if entry.width and entry.height:
            return {found.category for found in self.objects(entry, entry.width, entry.height)}
        annotations = self.coco.annotations[entry.id]
        header = _header(image) if annotations else None
        if header is not None:
            return {found.category for found in self.objects(entry, *self.size(entry, image)[:2])}
        return {annotation.category for annotation in annotations}

    def size(self, entry: ImageEntry, image: ImageFile) -> tuple[int, int, int]:
        """Width and height that the JSON means, and the orientation by which its masks are to be turned upright.

        A picture that cannot be read is not trained on; the JSON's word is taken for it.
        """
        header = _header(image)
        if header is None:
            if not (entry.width and entry.height):
                raise UserError(
                    f"{KEY}: {self.coco.path}: image '{entry.file_name}' needs 'width' and 'height' in pixels"
                )
            return entry.width, entry.height, 1
        stored, orientation = header
        try:
            upright = choose_upright(stored, orientation, (entry.width, entry.height))
        except ValueError as error:
            raise UserError(f"{KEY}: {self.coco.path}: image '{entry.file_name}': {error}") from error
        return (*(upright_size(stored, orientation) if upright else stored), 1 if upright else orientation)

    def objects(self, entry: ImageEntry, width: int, height: int) -> list[CocoObject]:
        """What the image holds."""
        found: list[CocoObject] = []
        for annotation in self.coco.annotations[entry.id]:
            try:
                reading = read_object(annotation, width, height, entry.file_name)
            except UserError as error:
                raise UserError(f"{KEY}: {self.coco.path}: {error}") from error
            self.mends.update(reading.mends)
            self.evidence.update(reading.evidence)
            if reading.object is not None:
                found.append(reading.object)
        return found

    def finish(self) -> None:
        """Refuse boxes that mostly contradict their masks, and say once what was mended."""
        problem = boxes.fault_of(self.evidence)
        if problem:
            raise UserError(f"{KEY}: {self.coco.path}: {problem}")
        mended = [
            f"{count} {mend.counted.partition(', so ')[0]}" for mend, count in self.mends.items() if mend not in _UNTOLD
        ]
        for note in [*self.notes, *mended]:
            _say_once(f"{KEY}: {self.coco.path}: {note}")


class _Matching:
    """Finds images by the names that a JSON gives them."""

    def __init__(self, images: ImageFiles) -> None:
        self._images = images
        self._paths = [_parts(image) for image in images]
        self._by_name: dict[str, list[int]] = defaultdict(list)
        for index, parts in enumerate(self._paths):
            self._by_name[composed(parts[-1])].append(index)
        self.other_form: list[tuple[str, str]] = []
        """(name given, file found) wherever the Unicode form differs."""

    def find(self, name: str, json: Path) -> int | None:
        """The image's index, or None where it is none of them."""
        parts = parts_of(name)
        if not parts:
            return None
        candidates = self._by_name[composed(parts[-1])]
        fitting = [index for index in candidates if self._paths[index][-len(parts) :] == parts]
        if not fitting and parts[0] == "/":
            real = os.path.realpath(PurePosixPath(*parts))
            fitting = [index for index in candidates if os.path.realpath(str(self._images[index])) == real]
        if not fitting and not name.isascii():
            fitting = [index for index in candidates if _all_composed(self._paths[index][-len(parts) :], parts)]
            self.other_form += [(name, self._paths[index][-1]) for index in fitting[:1]]
        if len(fitting) > 1:
            raise UserError(
                f"{KEY}: '{name}' of {json} fits {len(fitting)} images, "
                f"{self._images[fitting[0]]} and {self._images[fitting[1]]}; give data.root the folder that it means"
            )
        return fitting[0] if fitting else None


def _all_composed(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return [composed(part) for part in one] == [composed(part) for part in other]


def _parts(image: Any) -> tuple[str, ...]:
    """Folders and base name of a file, or of a member of an archive."""
    if isinstance(image, PurePath):
        return Path(image).absolute().parts
    return PurePosixPath(image.name).parts


def _header(image: ImageFile) -> tuple[tuple[int, int], int] | None:
    """Stored size and orientation; None where the picture cannot be read."""
    try:
        with open_image_file(image) as stream:
            return read_header(stream)
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int]:
    """Changes with the file; an absent one has one too, and is refused by its reader."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@functools.cache
def _say_once(line: str) -> None:
    if is_main():
        print(line, file=sys.stderr, flush=True)


def _union(objects: list[CocoObject], width: int, height: int) -> NDArray[np.uint8]:
    """0/1, height x width: the pixels of any object."""
    union = np.zeros((height, width), dtype=np.uint8)
    for found in objects:
        union |= coco_mask.decode(found.rle)
    return union


def _cell_weights(cells: int, pixels: int) -> NDArray[np.float64]:
    """The share of each cell that each pixel fills along one side: cells x pixels, rows of sum 1."""
    edges = np.linspace(0, pixels, cells + 1)
    first = np.maximum(edges[:-1, None], np.arange(pixels)[None])
    last = np.minimum(edges[1:, None], np.arange(1, pixels + 1)[None])
    weights: NDArray[np.float64] = np.clip(last - first, 0, None) * (cells / pixels)
    return weights
