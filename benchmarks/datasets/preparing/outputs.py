"""Writing prepared files: by rename, and never over a file that says something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenebench.errors import UserError
from scenebench.files import write_text


class Outputs:
    """Where prepared lists go, and what became of each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[str] = []

    def write_list(self, relative: str, entries: list[str]) -> None:
        """Write a list, one entry a line. One that holds the same entries in another order is left as it is.

        Raises:
            UserError: there is a file of that name with other entries.
        """

        def other(found: str) -> str:
            lines = found.splitlines()
            is_same = sorted(lines) == sorted(entries)
            return "" if is_same else f"with {len(lines)} entries that are not the {len(entries)} of this preparation"

        self._write(relative, "".join(f"{entry}\n" for entry in entries), f"{len(entries)} entries", other)

    def write_text(self, relative: str, text: str, said: str) -> None:
        """Write a file that is no list; ``said`` tells what is in it.

        Raises:
            UserError: there is a file of that name that says something else.
        """

        def other(found: str) -> str:
            return "" if found == text else f"and does not say what this preparation does ({said})"

        self._write(relative, text, said, other)

    def _write(self, relative: str, text: str, said: str, other: Callable[[str], str]) -> None:
        """``other``: of what stands in the file already, why that is not what is to be written; "" where it is."""
        path = self.folder / relative
        if path.is_file():
            if why := other(path.read_text(encoding="utf-8")):
                raise UserError(f"{path}: is there {why}; move it away, or choose another folder with --out")
            self.lines.append(f"{path}: is already there ({said})")
            return
        write_text(path, text)
        self.lines.append(f"{path}: {said}")
