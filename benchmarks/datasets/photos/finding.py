"""The folder that a person names for the small sets: what is in it, and whether it is all there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from benchmarks.datasets.folder import DESCRIPTION, DatasetFolder
from benchmarks.datasets.photos.given import is_given
from benchmarks.datasets.photos.sets import HOW_TO_MAKE, SETS
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import sha256_of


def is_prepared(root: Path) -> bool:
    """Whether any of the sets lies prepared in ``root``, under its own name."""
    return any((root / name / DESCRIPTION).is_file() for name in SETS)


def require_photos(root: Path | str) -> Path:
    """``root``, which must hold the three sets, prepared or as small pictures.

    Raises:
        UserError: it does not; names what is missing and the commands that make it.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder of small photographs; {HOW_TO_MAKE}")
    if is_prepared(root):
        for name in SETS:
            if not (root / name / DESCRIPTION).is_file():
                raise UserError(f"{root}: lacks {name}; {HOW_TO_MAKE}")
            open_set(name, root / name)
    elif not is_given(root):
        raise UserError(f"{root}: holds no small photographs; {HOW_TO_MAKE}")
    return root


def open_set(name: str, root: Path | str) -> DatasetFolder:
    """The prepared set ``name``, wherever it lies.

    Raises:
        UserError: another data set, or none.
    """
    folder = DatasetFolder.open(root)
    if folder.name != name:
        raise UserError(f"{root}: holds data set '{folder.name}', not {name}; {HOW_TO_MAKE}")
    return folder


def identity_of(root: Path) -> str:
    """Sixteen hexadecimal digits: equal ones mean equal sets. Of small pictures every file is read."""
    if is_prepared(root):
        return config_hash({name: DatasetFolder.open(root / name).fingerprint for name in SETS})
    total = hashlib.sha256()
    for one in SETS.values():
        for path in sorted((root / one.given).rglob("*")):
            if path.is_file():
                total.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()[:16]
