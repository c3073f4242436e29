"""A folder's files, each folder listed at most once: what makes a tree of 118,000 images a matter of a second."""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from scenebench.errors import UserError

Stamp = tuple[int, int]
"""Size in bytes and time of the last change in nanoseconds."""


class Tree:
    """The files below ``root``, by paths relative to it with ``/`` between the parts. Hidden ones do not count.

    Folders are listed when first asked for. With ``stamps`` each file's size and time are read along with its name.
    """

    def __init__(self, root: Path | str, stamps: bool = False) -> None:
        self.root = Path(root)
        self._with_stamps = stamps
        self._prefix = str(self.root / "_")[:-1]
        self._files: dict[str, dict[str, Stamp | None]] = {}
        self._folders: dict[str, list[str]] = {}
        if not self.root.is_dir():
            raise UserError(f"{self.root}: no such folder")

    def files(self, folder: str = "") -> dict[str, Stamp | None]:
        """Names of the files right in ``folder``, with their stamps; empty where there is no such folder."""
        self._list(folder)
        return self._files[folder]

    def folders(self, folder: str = "") -> list[str]:
        """Names of the folders right in ``folder``, sorted."""
        self._list(folder)
        return self._folders[folder]

    def has_file(self, relative: str) -> bool:
        """Whether there is a file of this path."""
        folder, _, name = relative.rpartition("/")
        return name in self.files(folder)

    def has_folder(self, relative: str) -> bool:
        """Whether there is a folder of this path."""
        folder, _, name = relative.rstrip("/").rpartition("/")
        return name in self.folders(folder)

    def path(self, relative: str) -> Path:
        """The absolute or caller's path of a relative one."""
        return self.root / relative

    def relative(self, path: Path) -> str:
        """The other way round, for paths that :meth:`path` gave. (By text: pathlib takes 5 us, a million times.)"""
        return str(path).removeprefix(self._prefix)

    def walk(self, folder: str = "") -> Iterator[str]:
        """``folder`` and every folder below it. A link to a folder above itself is not followed twice."""
        seen: set[tuple[int, int]] = set()
        waiting = [folder]
        while waiting:
            current = waiting.pop()
            status = (self.root / current).stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            yield current
            waiting += [_join(current, name) for name in reversed(self.folders(current))]

    def stamp(self, relative: str) -> Stamp:
        """The stamp of one file of a tree with stamps."""
        folder, _, name = relative.rpartition("/")
        stamp = self.files(folder)[name]
        assert stamp is not None
        return stamp

    def all_stamps(self) -> dict[str, Stamp]:
        """The stamp of every file below the root."""
        return {
            _join(folder, name): stamp
            for folder in self.walk()
            for name, stamp in self.files(folder).items()
            if stamp is not None
        }

    def require_file(self, relative: str) -> Path:
        """The path of a file that must be there.

        Raises:
            UserError: it is not; says what is there instead.
        """
        if not self.has_file(relative):
            raise UserError(f"{self.root}: {self.explain_missing(relative)}")
        return self.path(relative)

    def explain_missing(self, relative: str) -> str:
        """Why ``relative`` (a folder where it ends in ``/``) is not there: the first part missing, and what is near."""
        folder = ""
        for part in PurePosixPath(relative).parts:
            here = [*(f"{name}/" for name in self.folders(folder)), *self.files(folder)]
            if f"{part}/" not in here and part not in here:
                place = f"{folder}/" if folder else "it"
                near = difflib.get_close_matches(part, [name.rstrip("/") for name in here], n=1, cutoff=0.6)
                if near:
                    return f"no {relative} (did you mean '{_join(folder, near[0])}'?)"
                return f"no {relative}; {place} holds {some_of(sorted(here))}"
            folder = _join(folder, part)
        return f"no {relative}; a {'file' if relative.endswith('/') else 'folder'} has that name"

    def _list(self, folder: str) -> None:
        if folder in self._files:
            return
        files: dict[str, Stamp | None] = {}
        folders: list[str] = []
        try:
            with os.scandir(self.root / folder) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    if entry.is_dir():
                        folders.append(entry.name)
                    elif entry.is_file():
                        files[entry.name] = self._stamp(entry)
        except (FileNotFoundError, NotADirectoryError):
            pass  # an absent folder holds nothing; whoever needs it says so
        except OSError as error:
            raise UserError(f"{self.root / folder}: cannot be listed ({error.strerror})") from error
        self._files[folder], self._folders[folder] = files, sorted(folders)

    def _stamp(self, entry: os.DirEntry[str]) -> Stamp | None:
        if not self._with_stamps:
            return None
        status = entry.stat()
        return status.st_size, status.st_mtime_ns


def digest(stamps: dict[str, Stamp]) -> str:
    """Sixteen hexadecimal digits over paths, sizes and times: equal as long as no file was touched."""
    total = hashlib.sha256()
    for path in sorted(stamps):
        total.update(f"{path}\0{stamps[path][0]}\0{stamps[path][1]}\n".encode())
    return total.hexdigest()[:16]


def some_of(names: list[str], most: int = 6) -> str:
    """The first names of a list in words, and how many more there are."""
    if not names:
        return "nothing"
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
