"""Features of frozen backbones, kept so that a second probe of the same backbone and images reads them.

A file is named by everything that its numbers depend on: the backbone's bytes (its preprocessing is among them), the
images' paths, sizes and times of change, how they are shown and what is read off. Another name is another file.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor

from scenebench.errors import UserError
from scenebench.files import replacing
from scenebench.user_cache import user_cache

VERSION = 1
"""Rises when the same images and backbone would give other features."""
VARIABLE = "SCENEBENCH_FEATURES"
_NAME = "features"
_log = logging.getLogger("scenebench")


def cache_folder() -> Path | None:
    """``SCENEBENCH_FEATURES``, or ``scenebench/features`` below the user's cache folder; safe to delete.

    None for a user without a home folder: nothing is kept.
    """
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    return user_cache(_NAME)


def key_of(**parts: Any) -> str:
    """Twenty-four hexadecimal digits that name these plain values."""
    canonical = json.dumps({"version": VERSION, **parts}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:24]


def stamp_of(paths: Sequence[Path]) -> str:
    """Sixteen hexadecimal digits over names, sizes and times of files: equal as long as none was touched.

    Raises:
        UserError: a file cannot be asked about.
    """
    total = hashlib.sha256()
    for path in paths:
        try:
            status = path.stat()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        total.update(f"{path.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return total.hexdigest()[:16]


def cached(key: str, images: int, compute: Callable[[], Tensor]) -> Tensor:
    """The features stored under ``key``, or computed and stored now.

    A file that is damaged or of another number of images is computed again. Where nothing can be written the features
    are returned all the same.
    """
    folder = cache_folder()
    if folder is None:
        _log.info("features are not kept: there is no home folder; name one with %s", VARIABLE)
        return compute()
    path = folder / f"{key}.safetensors"
    found = _read(path, images)
    if found is not None:
        _log.info("features of %d images: read from %s", images, path)
        return found
    features = compute()
    try:
        with replacing(path) as temporary:
            safetensors.torch.save_file({_NAME: features.contiguous()}, temporary)
    except (UserError, safetensors.SafetensorError) as error:
        _log.info("features are not kept: %s", error)
    return features


def _read(path: Path, images: int) -> Tensor | None:
    try:
        if not path.is_file():
            return None
        features = safetensors.torch.load_file(path)[_NAME]
    except (safetensors.SafetensorError, OSError, KeyError, ValueError) as error:
        _log.info("%s: not readable (%s); computed again", path, error)
        return None
    return features if len(features) == images else None
