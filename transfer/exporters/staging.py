"""Writing several files that belong together: all of them appear, or none, and none of the user's is lost."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scenebench.errors import UserError
from scenebench.overwriting import refuse_to_replace
from transfer.untouched import is_untouched


@contextmanager
def staged_folder(out: Path | str, inputs: Iterable[Path | str] = (), overwrite: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; on success move its files into ``out``, on any failure remove it.

    Files of other names in ``out`` are left alone. One of an equal name is replaced where it has the same content or
    is an earlier export's that nobody changed, else only with ``overwrite``.

    Args:
        inputs: what is exported, which is never replaced.

    Raises:
        UserError: ``out`` is a file, cannot be written, the disk is full, or a file in it would be lost.
    """
    out = Path(out)
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: is a file; --out names a folder")
    inputs = list(inputs)
    staging = out.with_name(f".{out.name}.{os.getpid()}.part") if out.name else out / f".{os.getpid()}.part"
    try:
        staging.mkdir(parents=True)
        yield staging
        files = sorted(staging.iterdir())
        for file in files:
            _refuse_loss(file, out / file.name, inputs, overwrite)
        out.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.replace(out / file.name)
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror or error}; free some space or choose another folder"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_loss(new: Path, target: Path, inputs: Iterable[Path | str], overwrite: bool) -> None:
    def nothing_is_lost(present: Path) -> bool:
        return filecmp.cmp(new, present, shallow=False) or is_untouched(present)

    refuse_to_replace(target, inputs, overwrite=overwrite, is_ours=nothing_is_lost)
