"""Filling a folder of the user's with several files: all of them or none, and none over a file that is not ours."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scenebench.errors import UserError
from scenebench.files import sha256_of, write_text
from scenebench.overwriting import refuse_to_replace

MANIFEST = ".scenebench.json"
"""Which files of a folder are ours: the SHA-256 of each as it was written."""


@contextmanager
def filling(folder: Path, overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``folder``; what it holds in the end comes into ``folder``.

    A file that is there already is replaced where it is as it was written the last time, or as it will be now; any
    other only with ``overwrite``. Where one may not be replaced, nothing is written.

    Raises:
        UserError: a file may not be replaced, or the folder cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise UserError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error
    try:
        yield made
        _move(made, folder, overwrite)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def moved(files: Iterable[Path], made: Path, folder: Path) -> list[Path]:
    """Where files lie that were written into the folder ``made`` of :func:`filling`."""
    return [folder / file.relative_to(made) for file in files]


def write_texts(files: Mapping[Path, str], overwrite: bool = False) -> None:
    """Write texts, none of them over a file that says something else unless ``overwrite``.

    Raises:
        UserError: a file may not be replaced; then none is written.
    """
    for path, text in files.items():

        def is_ours(there: Path, text: str = text) -> bool:
            return there.read_bytes() == text.encode()

        refuse_to_replace(path, overwrite=overwrite, is_ours=is_ours)
    for path, text in files.items():
        write_text(path, text)


def _move(made: Path, folder: Path, overwrite: bool) -> None:
    names = [path.relative_to(made).as_posix() for path in sorted(made.rglob("*")) if path.is_file()]
    new = {name: sha256_of(made / name) for name in names}
    before = _read_manifest(folder)
    for name in names:

        def is_ours(path: Path, name: str = name) -> bool:
            return sha256_of(path) in (before.get(name), new[name])

        refuse_to_replace(folder / name, overwrite=overwrite, is_ours=is_ours)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(made / name, folder / name)
    write_text(folder / MANIFEST, json.dumps({**before, **new}, indent=1) + "\n")


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
