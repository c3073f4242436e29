"""ADE20K's maps with classes from 0 and the rest ignored, where Detectron2's own script writes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.datasets.preparing.label_maps import Labels, convert_maps
from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.ade20k import CLASSES, FOLDERS, OFFICIAL, PREPARED
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def write_labels(tree: Tree, outputs: Outputs, workers: int = 1) -> None:
    """``annotations_detectron2/<split>/*.png`` for each official map; those newer than their source stay.

    Raises:
        UserError: a map does not decode, or holds anything but 0-150.
    """
    tasks = [
        (tree.path(f"{OFFICIAL}/{folder}/{name}"), outputs.folder / PREPARED / folder / name)
        for folder in FOLDERS.values()
        for name in sorted(tree.files(f"{OFFICIAL}/{folder}"))
        if name.endswith(".png")
    ]
    written, kept = convert_maps(tasks, _from_zero, label="labels", chunk=50, workers=workers)
    outputs.lines.append(f"{outputs.folder / PREPARED}: {written} maps written, {kept} were there")


def _from_zero(path: Path, labels: Labels) -> Labels:
    if labels.max() > CLASSES:
        raise UserError(f"{path}: holds {int(labels.max())}, which is no label (0-{CLASSES})")
    return labels - np.uint8(1)  # 0 wraps around to 255
