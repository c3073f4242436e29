"""Writing prepared files: by rename, and never over a file that says something else."""

from __future__ import annotations

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
        path = self.folder / relative
        if path.is_file():
            found = path.read_text(encoding="utf-8").splitlines()
            if sorted(found) != sorted(entries):
                raise UserError(
                    f"{path}: is there with {len(found)} entries that are not the {len(entries)} of this preparation; "
                    "move it away, or choose another folder with --out"
                )
            self.lines.append(f"{path}: is already there ({len(entries)} entries)")
            return
        write_text(path, "".join(f"{entry}\n" for entry in entries))
        self.lines.append(f"{path}: {len(entries)} entries")

    def write_text(self, relative: str, text: str, said: str) -> None:
        """Write a file that is no list; ``said`` tells what is in it.

        Raises:
            UserError: there is a file of that name that says something else.
        """
        path = self.folder / relative
        if path.is_file():
            if path.read_text(encoding="utf-8") != text:
                raise UserError(
                    f"{path}: is there and does not say what this preparation does ({said}); "
                    "move it away, or choose another folder with --out"
                )
            self.lines.append(f"{path}: is already there ({said})")
            return
        write_text(path, text)
        self.lines.append(f"{path}: {said}")
