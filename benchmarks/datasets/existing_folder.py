"""The folder of a data set that may be there already: it is the same data, or a refusal."""

from __future__ import annotations

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
