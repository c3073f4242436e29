"""Train-id maps of Cityscapes, under the names that the official scripts give them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.datasets.parallel import iterate_chunks
from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.cityscapes import LABEL_IDS, TRAIN_ID_OF
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError
from scenebench.files import replacing

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
    waiting = [(source, target) for source, target in tasks if not _is_done(source, target)]
    for _ in iterate_chunks(_convert_all, waiting, label="train ids", workers=workers, chunk=20):
        pass
    kept = len(tasks) - len(waiting)
    outputs.lines.append(f"{outputs.folder / 'gtFine'}: {len(waiting)} train-id maps written, {kept} were there")


def _is_done(source: Path, target: Path) -> bool:
    return target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns


def _convert_all(tasks: Sequence[tuple[Path, Path]]) -> list[Path]:
    table = train_id_table()
    return [_convert(source, target, table) for source, target in tasks]


def _convert(source: Path, target: Path, table: np.ndarray) -> Path:
    try:
        with Image.open(source) as image:
            labels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{source}: does not decode ({error})") from error
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(f"{source}: is no map of 8-bit label ids, but {labels.dtype} of shape {labels.shape}")
    foreign = sorted({int(value) for value in np.unique(labels)} - LABEL_IDS)
    if foreign:
        raise UserError(f"{source}: holds {foreign[0]}, which is no label id (0-33): train ids under the wrong name?")
    with replacing(target) as temporary:
        Image.fromarray(table[labels]).save(temporary, format="PNG")
    return target
