"""ADE20K's maps with classes from 0 and the rest ignored, where Detectron2's own script writes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.datasets.parallel import iterate_chunks
from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.ade20k import CLASSES, FOLDERS, OFFICIAL, PREPARED
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError
from scenebench.files import replacing


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
    waiting = [(source, target) for source, target in tasks if not _is_done(source, target)]
    for _ in iterate_chunks(_convert_all, waiting, label="labels", workers=workers, chunk=50):
        pass
    kept = len(tasks) - len(waiting)
    outputs.lines.append(f"{outputs.folder / PREPARED}: {len(waiting)} maps written, {kept} were there")


def _is_done(source: Path, target: Path) -> bool:
    return target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns


def _convert_all(tasks: Sequence[tuple[Path, Path]]) -> list[Path]:
    return [_convert(source, target) for source, target in tasks]


def _convert(source: Path, target: Path) -> Path:
    try:
        with Image.open(source) as image:
            labels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{source}: does not decode ({error})") from error
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(f"{source}: is no map of 8-bit labels, but {labels.dtype} of shape {labels.shape}")
    if labels.max() > CLASSES:
        raise UserError(f"{source}: holds {int(labels.max())}, which is no label (0-{CLASSES})")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary:
        Image.fromarray(labels - np.uint8(1)).save(temporary, format="PNG")  # 0 wraps around to 255
    return target
