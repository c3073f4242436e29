"""Writing several files that belong together: all of them appear, or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scenebench.errors import UserError


@contextmanager
def staged_folder(out: Path | str) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; on success move its files into ``out``, on any failure remove it.

    Files of other names in ``out`` are left alone; of equal names replaced.

    Raises:
        UserError: ``out`` is a file, cannot be written, or the disk is full.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; --out names a folder")
    staging = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        staging.mkdir(parents=True)
        yield staging
        out.mkdir(parents=True, exist_ok=True)
        for file in sorted(staging.iterdir()):
            file.replace(out / file.name)
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
