"""Official maps of labels, written anew with other labels: what a toolbox reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.datasets.parallel import iterate_chunks
from scenebench.errors import UserError
from scenebench.files import replacing

Labels = NDArray[np.uint8]
Convert = Callable[[Path, Labels], Labels]
"""Takes the file, for errors, and its labels, H x W; gives those to write."""


def convert_maps(
    tasks: Sequence[tuple[Path, Path]], convert: Convert, label: str, chunk: int, workers: int
) -> tuple[int, int]:
    """Write each (source, target) that is not there, or older than its source; returns how many were and were not.

    Args:
        convert: a function of a module, or a partial of one, so that other processes can be given it.
        label: of the progress.

    Raises:
        UserError: a map does not decode or is no map of 8-bit labels, and whatever ``convert`` raises.
    """
    waiting = [(source, target) for source, target in tasks if not _is_done(source, target)]
    for _ in iterate_chunks(partial(_convert_all, convert=convert), waiting, label=label, workers=workers, chunk=chunk):
        pass
    return len(waiting), len(tasks) - len(waiting)


def _is_done(source: Path, target: Path) -> bool:
    return target.is_file() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns


def _convert_all(tasks: Sequence[tuple[Path, Path]], convert: Convert) -> list[Path]:
    for source, target in tasks:
        labels = convert(source, _read(source))
        target.parent.mkdir(parents=True, exist_ok=True)
        with replacing(target) as temporary:
            Image.fromarray(labels).save(temporary, format="PNG")
    return [target for _, target in tasks]


def _read(path: Path) -> Labels:
    try:
        with Image.open(path) as image:
            labels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: does not decode ({error})") from error
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise UserError(f"{path}: is no map of 8-bit labels, but {labels.dtype} of shape {labels.shape}")
    return labels
