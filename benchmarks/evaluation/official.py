"""An official layout as what a benchmark runs on: asked as a prepared data set is, and answered by its reader."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.datasets.checking.layout import require_layout
from benchmarks.datasets.checking.rules import box_problem
from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.photos.finding import open_set
from benchmarks.datasets.photos.sets import SETS
from benchmarks.datasets.readers import read_official
from benchmarks.datasets.readers.ade20k import PREPARED as ADE20K_MAPS
from benchmarks.datasets.readers.ade20k import read_ade20k
from benchmarks.datasets.readers.cityscapes import read_cityscapes
from benchmarks.datasets.registry import describe
from benchmarks.datasets.samples import OfficialData, Sample
from benchmarks.datasets.tree import Tree
from benchmarks.protocols.protocol import Protocol
from scenebench.errors import UserError, require_choice
from scenebench.files import sha256_of

_TRAIN_IDS = "_gtFine_labelTrainIds.png"
_WITHOUT_BACKGROUND = ("ade20k", "cityscapes")


def open_data(root: Path | str, protocol: Protocol) -> DatasetFolder:
    """The data set of a protocol: the official layout or small set that ``data.dataset`` names, or a prepared folder.

    Raises:
        UserError: another layout (what was found, what was expected, what is near), a list or map that 'data prepare'
            makes is missing, or the number of classes is not the protocol's.
    """
    wanted = protocol.data
    if wanted.dataset in SETS:
        data = open_set(wanted.dataset, root)
    else:
        data = OfficialFolder.read(wanted.dataset, root) if wanted.dataset else DatasetFolder.open(root)
    if wanted.classes is not None and len(data.categories) != wanted.classes:
        raise UserError(
            f"{data.root}: has {len(data.categories)} classes, protocol '{protocol.id}' expects {wanted.classes} "
            f"(data.classes); is it all of {data.name}?"
        )
    return data


@dataclass(frozen=True)
class OfficialFolder(DatasetFolder):
    """A data set on its official layout. ``name`` is that of the registry, ``version`` is ``official``.

    The fingerprint is of names and sizes of the image files and of the content of the annotations.
    """

    official: OfficialData = field(kw_only=True)

    @classmethod
    def read(cls, name: str, root: Path | str) -> OfficialFolder:
        """Read ``root`` as data set ``name`` of the registry.

        Raises:
            UserError: a wrong layout, a missing list, a fault in the annotations.
        """
        tree = Tree(root)
        require_layout(tree, describe(name))
        _require_prepared(name, tree)
        official = _read_prepared(name, tree)
        return cls(
            root=tree.root,
            name=name,
            version="official",
            fingerprint=_fingerprint(official),
            categories=official.classes,
            splits={split: len(samples) for split, samples in official.splits.items()},
            source={"layout": name},
            official=official,
        )

    def images(self, split: str) -> list[Path]:
        """The images of a split, in the reader's order."""
        return [sample.image for sample in self._samples(split)]

    def annotations(self, split: str) -> Path:
        """The COCO instances JSON; COCO alone has one."""
        self._check_split(split)
        return self._file(split, f"annotations/instances_{split}2017.json")

    def instances(self, split: str) -> tuple[dict[str, Any], Path]:
        """COCO-style content, and the folder that its file names are relative to.

        COCO: the official file. Else from the boxes: 0-based corners, ``difficult`` as VOC says, no masks.

        Raises:
            UserError: a box without area, or outside of its image.
        """
        samples = self._samples(split)
        _require_boxes_inside(samples, self.official.smallest_box)
        if self.name == "coco2017":
            return json.loads(self.annotations(split).read_bytes()), self.root / f"{split}2017"
        return _as_coco(samples, self.categories, self.root), self.root

    def semantic(self, split: str) -> list[Path]:
        """The semantic maps of a split, in the order of :meth:`images`."""
        maps = [sample.mask for sample in self._samples(split)]
        found = [path for path in maps if path is not None]
        if len(found) != len(maps):
            raise UserError(
                f"{self.root}: {len(maps) - len(found)} images of split '{split}' of {self.name} have no map"
            )
        return found

    @property
    def semantic_classes(self) -> list[str]:
        """Names by value of the semantic maps; 255 is ignored everywhere."""
        return list(self.categories) if self.name in _WITHOUT_BACKGROUND else super().semantic_classes

    def multilabel(self, split: str) -> NDArray[np.uint8]:
        """Which classes an image holds: uint8 0/1, images x classes; VOC's difficult objects count as absent."""
        samples = self._samples(split)
        labels = np.zeros((len(samples), len(self.categories)), dtype=np.uint8)
        for row, sample in enumerate(samples):
            labels[row, list(sample.labels)] = 1
        return labels

    def scene_types(self, split: str) -> None:
        """No published data set knows the generator's scene types."""
        self._check_split(split)

    def compute_fingerprint(self) -> str:
        """Read everything again."""
        return OfficialFolder.read(self.name, self.root).fingerprint

    def _samples(self, split: str) -> list[Sample]:
        require_choice(f"{self.root}: split", split, self.splits)
        return self.official.split(split)


def _read_prepared(name: str, tree: Tree) -> OfficialData:
    """As the reader gives it, with the maps that 'data prepare' made where the official ones cannot be trained on."""
    if name == "cityscapes":
        return read_cityscapes(tree, labels="labelTrainIds")
    if name == "ade20k":
        return read_ade20k(tree, maps=ADE20K_MAPS)
    return read_official(name, tree)


def _require_prepared(name: str, tree: Tree) -> None:
    """What 'data prepare' makes must be there; the message names the command."""
    lacking = ""
    if name == "voc2012aug" and not tree.has_file("ImageSets/Segmentation/trainaug.txt"):
        lacking = "ImageSets/Segmentation/trainaug.txt"
    if name == "cityscapes":
        folders = (folder for split in ("train", "val") for folder in tree.walk(f"gtFine/{split}"))
        if not any(file.endswith(_TRAIN_IDS) for folder in folders for file in tree.files(folder)):
            lacking = f"gtFine/*/*/*{_TRAIN_IDS}"
    if name == "ade20k" and not tree.has_folder(ADE20K_MAPS):
        lacking = f"{ADE20K_MAPS}/"
    if lacking:
        raise UserError(f"{tree.root}: {lacking} is missing; make it: scenebench data prepare {name} {tree.root}")


def _require_boxes_inside(samples: Sequence[Sample], smallest: float) -> None:
    """COCO's two boxes of height 0 are the official file's own: a box without area is not asked about there."""
    for sample in samples:
        if sample.size is None:
            continue
        for box in sample.boxes:
            problem = box_problem(box, *sample.size, smallest)
            if problem and not (smallest == 0 and problem == "has no area"):
                raise UserError(f"{sample.image}: {box.where}: {problem}; 'scenebench data check' lists every fault")


def _as_coco(samples: Sequence[Sample], classes: Sequence[str], root: Path) -> dict[str, Any]:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, sample in enumerate(samples, start=1):
        if sample.size is None:
            raise UserError(f"{sample.image}: its annotation lacks the image's size")
        width, height = sample.size
        name = sample.image.relative_to(root).as_posix()
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for box in sample.boxes:
            size = (box.right - box.left, box.bottom - box.top)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": box.label + 1,
                    "bbox": [box.left, box.top, *size],
                    "area": size[0] * size[1],
                    "iscrowd": int(box.crowd),
                    "difficult": int(box.difficult),
                }
            )
    categories = [{"id": index + 1, "name": name} for index, name in enumerate(classes)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _fingerprint(official: OfficialData) -> str:
    total = hashlib.sha256()
    for split, samples in official.splits.items():
        for sample in samples:
            files = [path for path in (sample.image, sample.mask) if path is not None]
            stamps = [(path.relative_to(official.root).as_posix(), path.stat().st_size) for path in files]
            boxes = [tuple(box) for box in sample.boxes]
            total.update(f"{split}\0{stamps}\0{sample.labels}\0{boxes}\n".encode())
    for path in sorted((official.root / "annotations").glob("instances_*.json")):
        total.update(f"{path.name}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()[:16]
