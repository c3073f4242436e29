"""The folder of an export: its files appear together or not at all, and none of the user's is lost."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

from scenebench.overwriting import refuse_to_replace
from scenebench.staging import staged_folder
from transfer.untouched import is_untouched


def export_folder(
    out: Path | str, inputs: Iterable[Path | str] = (), overwrite: bool = False
) -> AbstractContextManager[Path]:
    """As :func:`scenebench.staging.staged_folder`, but for the user's files.

    A file of an equal name is replaced where it has the same content or is an earlier export's that nobody changed,
    else only with ``overwrite``.

    Args:
        inputs: what is exported, which is never replaced.

    Raises:
        UserError: ``out`` is a file, cannot be written, the disk is full, or a file in it would be lost.
    """
    return staged_folder(out, check=partial(_refuse_loss, list(inputs), overwrite))


def _refuse_loss(inputs: list[Path | str], overwrite: bool, new: Path, target: Path) -> None:
    def nothing_is_lost(present: Path) -> bool:
        return filecmp.cmp(new, present, shallow=False) or is_untouched(present)

    refuse_to_replace(target, inputs, overwrite=overwrite, is_ours=nothing_is_lost)
