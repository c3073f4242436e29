"""ADE20K for scene parsing (ADEChallengeData2016): 150 classes.

::

    ROOT/images/training/ADE_train_<8 digits>.jpg, images/validation/ADE_val_<8 digits>.jpg
    ROOT/annotations/training/<same name>.png, annotations/validation/   0 not labelled, 1-150
    ROOT/annotations_detectron2/training/<same name>.png, ...            0-149, 255 ignored; made by prepare
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.photos.entries import ade20k_classes
from benchmarks.datasets.samples import Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import require_choice

FOLDERS = {"train": "training", "val": "validation"}
OFFICIAL, PREPARED = "annotations", "annotations_detectron2"
"""Folders of maps. The second is where Detectron2's own script writes the same ones."""
CLASSES = 150
VALUES = {OFFICIAL: frozenset(range(CLASSES + 1)), PREPARED: frozenset({*range(CLASSES), 255})}


def read_ade20k(tree: Tree, fault: Fault = strict, maps: str = OFFICIAL) -> OfficialData:
    """``train`` and ``val``.

    Args:
        maps: ``annotations`` as distributed, or ``annotations_detectron2`` as prepared.
    """
    require_choice("maps", maps, VALUES)
    splits = {split: _read_split(tree, folder, maps, fault) for split, folder in FOLDERS.items()}
    return OfficialData("ade20k", tree.root, ade20k_classes(), splits, [tuple(splits)], VALUES[maps])


def _read_split(tree: Tree, folder: str, maps: str, fault: Fault) -> list[Sample]:
    images, labelled = f"images/{folder}", f"{maps}/{folder}"
    samples: list[Sample] = []
    stems = set()
    for name in sorted(tree.files(images)):
        if not name.endswith(".jpg"):
            fault("unlisted", tree.path(f"{images}/{name}"), "its name does not end in .jpg")
            continue
        stem = Path(name).stem
        stems.add(stem)
        if tree.has_file(f"{labelled}/{stem}.png"):
            samples.append(Sample(tree.path(f"{images}/{name}"), mask=tree.path(f"{labelled}/{stem}.png")))
        else:
            fault("missing", tree.path(f"{images}/{name}"), f"has no {labelled}/{stem}.png")
    for name in sorted(tree.files(labelled)):
        if Path(name).stem not in stems:
            fault("missing", tree.path(f"{labelled}/{name}"), f"has no {images}/{Path(name).stem}.jpg")
    return samples
