"""Feature maps on disk, within bounds: no file above a size, and the files used longest ago make room for new ones."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from benchmarks.frozen.feature_cache import cache_folder
from scenebench.errors import UserError
from scenebench.files import replacing
from scenebench.locking import only_process

FILE_BYTES = 1 << 30
"""Maps of a split that take more are not stored."""
FOLDER_BYTES = 4 << 30
"""What all stored maps may take together."""
_FOLDER, _FILE = "maps", "maps.safetensors"
_log = logging.getLogger("scenebench")

Shapes = Mapping[str, tuple[int, int, int]]
Read = Callable[[str, Sequence[int]], Tensor]
"""Takes a layer and rows, ascending; gives their maps, float32, n x C x h x w."""


def stored_maps(
    key: str, images: int, shapes: Shapes, compute: Callable[[], Iterator[Mapping[str, Tensor]]]
) -> Read | None:
    """The maps stored under ``key``, or computed and stored now; None where they are too large to be held.

    Processes that want the same maps at once wait for the one that computes them. Where nothing can be written the maps
    are given all the same.

    Args:
        shapes: channels, rows and columns of one image's map, by layer.
        compute: gives the maps of all images, in order and in batches, as float32.
    """
    if 4 * images * sum(math.prod(shape) for shape in shapes.values()) > FILE_BYTES:
        return None
    folder = cache_folder()
    with ExitStack() as held:
        path = None
        if folder is not None:
            try:
                held.enter_context(only_process(folder / _FOLDER / key, _log.info))
                path = folder / _FOLDER / key / _FILE
            except UserError as error:
                _log.info("maps are not kept: %s", error)
        found = None if path is None else _read(path, images, shapes)
        if found is not None:
            return found
        parts: dict[str, list[Tensor]] = {layer: [] for layer in shapes}
        for batch in compute():
            for layer, own in parts.items():
                own.append(batch[layer])
        maps = {layer: torch.cat(own) for layer, own in parts.items()}
        if path is not None:
            _write(path, maps)
    return lambda layer, rows: maps[layer][torch.tensor(list(rows))]


def _read(path: Path, images: int, shapes: Shapes) -> Read | None:
    try:
        if not path.is_file():
            return None
        file = safetensors.safe_open(path, framework="pt")
        found = {layer: tuple(file.get_slice(layer).get_shape()) for layer in file.keys()}  # noqa: SIM118
        os.utime(path)  # used now: it goes last
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        _log.info("%s: not readable (%s); computed again", path, error)
        return None
    if found != {layer: (images, *shape) for layer, shape in shapes.items()}:
        return None
    _log.info("maps of %d images: read from %s", images, path)

    def read(layer: str, rows: Sequence[int]) -> Tensor:
        piece: Tensor = file.get_slice(layer)[rows[0] : rows[-1] + 1]
        return piece[torch.tensor([row - rows[0] for row in rows])]

    return read


def _write(path: Path, maps: Mapping[str, Tensor]) -> None:
    try:
        with replacing(path) as temporary:
            safetensors.torch.save_file({layer: own.contiguous() for layer, own in maps.items()}, temporary)
        _make_room(path)
    except (UserError, OSError, safetensors.SafetensorError) as error:
        _log.info("maps are not kept: %s", error)


def _make_room(newest: Path) -> None:
    """Remove the files that were used longest ago until the rest is within bounds; the newest stays."""
    stamps = []
    for path in newest.parent.parent.glob(f"*/{_FILE}"):
        try:
            status = path.stat()
        except FileNotFoundError:  # another process makes room, too
            continue
        stamps.append((path == newest, status.st_mtime, status.st_size, path))
    total = 0
    for is_newest, _, size, path in sorted(stamps, reverse=True):
        total += size
        if total > FOLDER_BYTES and not is_newest:
            path.unlink(missing_ok=True)
