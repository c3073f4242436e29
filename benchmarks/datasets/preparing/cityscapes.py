"""Train-id maps of Cityscapes, under the names that the official scripts give them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.datasets.preparing.label_maps import Labels, convert_maps
from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.cityscapes import LABEL_IDS, TRAIN_ID_OF
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

IGNORED = 255
_SOURCE, _TARGET = "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"


def train_id_table() -> np.ndarray:
    """Train id by label id, uint8 of 256: 19 classes, every other value ignored (255)."""
    table = np.full(256, IGNORED, dtype=np.uint8)
    for label, train_id in TRAIN_ID_OF.items():
        table[label] = train_id
    return table


def write_train_ids(tree: Tree, outputs: Outputs, workers: int = 1) -> None:
    """``*_labelTrainIds.png`` for each ``*_labelIds.png`` below ``gtFine``; those newer than their source stay.

    Raises:
        UserError: a map does not decode, or holds anything but label ids.
    """
    sources = [
        f"{folder}/{name}" for folder in tree.walk("gtFine") for name in sorted(tree.files(folder)) if _SOURCE in name
    ]
    if not sources:
        raise UserError(f"{tree.root}: gtFine holds no *{_SOURCE}")
    tasks = [(tree.path(source), outputs.folder / source.replace(_SOURCE, _TARGET)) for source in sources]
    written, kept = convert_maps(tasks, partial(_train_ids, table=train_id_table()), "train ids", 20, workers)
    outputs.lines.append(f"{outputs.folder / 'gtFine'}: {written} train-id maps written, {kept} were there")


def _train_ids(path: Path, labels: Labels, table: Labels) -> Labels:
    foreign = sorted({int(value) for value in np.unique(labels)} - LABEL_IDS)
    if foreign:
        raise UserError(f"{path}: holds {foreign[0]}, which is no label id (0-33): train ids under the wrong name?")
    return table[labels]
