"""Building a folder so that nothing half-written is ever left under its final name."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import DESCRIPTION, DatasetFolder
from scenebench.errors import UserError


def already_built(out: Path, name: str, version: str, source: dict[str, Any]) -> DatasetFolder | None:
    """The data set at ``out`` if it was made from exactly this, None if ``out`` is free.

    Raises:
        UserError: something else is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return None
    if not (out / DESCRIPTION).is_file():
        raise UserError(f"{out}: exists and is not a prepared data set; choose another folder")
    folder = DatasetFolder.open(out)
    if (folder.name, folder.version) != (name, version):
        raise UserError(
            f"{out}: holds data set '{folder.name}' version {folder.version}, not '{name}' version {version}; "
            "remove it or choose another folder"
        )
    for key in dict.fromkeys([*source, *folder.source]):  # in the writer's order: what a person chose comes first
        old, new = folder.source.get(key), source.get(key)
        if old != new:
            raise UserError(
                f"{out}: holds data set '{name}' made with {key} = {old}, not {new}; remove it or choose another folder"
            )
    return folder


@contextmanager
def building(out: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; rename it to ``out`` on success, remove it on failure.

    A folder that a killed process left is removed by the next one.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    out = Path(out).absolute()
    temporary = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(out)
        temporary.mkdir()
        yield temporary
        temporary.rename(out)  # also over an empty folder
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UserError(
                f"cannot write {out}: another command has written there meanwhile, and what it wrote stands; call this "
                "one again to see whether it is the same data, or choose another folder"
            ) from error
        raise UserError(
            f"cannot write {out}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(out: Path) -> None:
    for folder in out.parent.glob(f".{out.name}.*.part"):
        process = folder.name.removesuffix(".part").rpartition(".")[2]
        if process.isdigit() and folder.is_dir() and not _is_alive(int(process)):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return process != os.getpid()  # a folder under our own id is of an earlier process that had it
