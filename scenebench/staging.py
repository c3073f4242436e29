"""Folders of files that belong together: all of them appear, or none. They are written aside and renamed into place."""

from __future__ import annotations

import errno
import glob
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scenebench.errors import UserError


@contextmanager
def whole_folder(out: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; rename it to ``out`` on success, remove it on failure.

    ``out`` must be missing or an empty folder then. What a killed process left aside is removed by the next one.

    Raises:
        UserError: the folder cannot be written or the disk is full.
    """
    out = Path(out).absolute()
    with _aside(out, out.parent) as staging:
        yield staging
        staging.rename(out)


@contextmanager
def staged_folder(
    out: Path | str,
    names: Sequence[str] | None = None,
    check: Callable[[Path, Path], None] | None = None,
) -> Iterator[Path]:
    """Yield an empty folder; on success move what lies in it into ``out``, on any failure remove it.

    Of equal names files and folders in ``out`` are replaced, others are left alone.

    Args:
        names: what is moved, in this order; None: everything.
        check: asked before anything is moved, of each new path and the one in ``out`` that it would take; it raises
            where something there must not be lost.

    Raises:
        UserError: ``out`` is a file, cannot be written, or the disk is full; and what ``check`` raises.
    """
    shown, out = Path(out), Path(out).absolute()
    if out.exists() and not out.is_dir():
        raise UserError(f"{shown}: is a file; --out names a folder")
    # Inside, where the folder is there: it may be another disk than the one that it is seen on.
    with _aside(out, out if out.is_dir() else out.parent) as staging:
        yield staging
        chosen = sorted(path.name for path in staging.iterdir()) if names is None else names
        if check is not None:
            for name in chosen:
                check(staging / name, shown / name)
        out.mkdir(parents=True, exist_ok=True)
        for name in chosen:
            old = out / name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            (staging / name).replace(old)


@contextmanager
def _aside(out: Path, place: Path) -> Iterator[Path]:
    staging = place / f".{out.name}.{os.getpid()}.part"
    try:
        place.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(out.name, place)
        staging.mkdir()
        yield staging
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
        shutil.rmtree(staging, ignore_errors=True)


def _remove_abandoned(name: str, place: Path) -> None:
    for folder in place.glob(f".{glob.escape(name)}.*.part"):
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
