"""Images of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from pretrain.data.sources.found import Found, LeftOut, require_some
from pretrain.data.sources.image_file import is_image_content, is_image_name, suffix_of
from pretrain.data.sources.own_outputs import (
    IMAGES,
    PREPARED_SET,
    RUN_FOLDER,
    WRITTEN_BY_A_RUN,
    kind_of_output,
)
from scenebench.errors import UserError


def search_folder(root: Path, run: Path | None = None) -> Found:
    """All images under ``root``, also in sub-folders and behind links, each once, sorted by path.

    Left out and counted: hidden files and folders, files of other kinds, what this suite has written
    (:mod:`.own_outputs`), links that lead nowhere, folders that cannot be listed.

    Args:
        run: the folder of a run that is about to begin, which is one already for this purpose.

    Raises:
        UserError: there is no image in it, or it cannot be listed.
    """
    return require_some(_Search(root, run).found())


def find_images(root: Path) -> list[Path]:
    """The images of :func:`search_folder`, possibly none."""
    search = _Search(root, None)
    search.found()
    return search.images


class _Search:
    """One search. Real folders come first, and links to folders after them, so that a picture within ``root`` that a
    link leads to as well keeps its own path."""

    def __init__(self, root: Path, run: Path | None) -> None:
        self.root = root
        self.images: list[Path] = []
        self.left_out = LeftOut()
        self._run = os.path.realpath(run) if run is not None else ""
        self._searched: set[str] = set()
        self._folders_of_images: list[str] = []  # the real one of each image
        self._linked_folders: list[Path] = []
        self._linked_files: list[Path] = []

    def found(self) -> Found:
        self._search(self.root)
        while self._linked_folders:
            waiting, self._linked_folders = sorted(self._linked_folders), []
            for folder in waiting:
                self._search(folder)
        self._take_linked_files()
        self.images.sort()
        return Found([*self.images], self.root, self.left_out.phrases())

    def _search(self, top: Path) -> None:
        waiting = [(top, os.path.realpath(top))]
        while waiting:
            folder, real = waiting.pop()
            if real in self._searched:
                self.left_out.folders_again += 1
                continue
            self._searched.add(real)
            entries = self._entries(folder)
            kind = RUN_FOLDER if real == self._run else self._kind(folder, entries)
            skipped: frozenset[str] = frozenset()
            if kind and folder != self.root:
                what = f"{kind} {self._relative(folder)}"
                self.left_out.of_own[what] += self._count_below(folder, real, entries)
                continue
            if kind == RUN_FOLDER:
                skipped = WRITTEN_BY_A_RUN
            elif kind == PREPARED_SET:
                skipped = frozenset(entry.name for entry in entries) - {IMAGES}
            for entry in entries:
                if entry.name in skipped:
                    self.left_out.of_own[f"{kind} itself"] += self._count(entry, f"{real}/{entry.name}")
                elif _is_folder(entry):
                    self._take_folder(entry, real, waiting)
                else:
                    self._take_file(entry, real)

    def _take_folder(self, entry: os.DirEntry[str], real: str, waiting: list[tuple[Path, str]]) -> None:
        if entry.name.startswith("."):
            self.left_out.hidden_folders += 1
        elif entry.is_symlink():
            self._linked_folders.append(Path(entry.path))
        else:
            waiting.append((Path(entry.path), f"{real.rstrip('/')}/{entry.name}"))

    def _take_file(self, entry: os.DirEntry[str], real: str) -> None:
        named = is_image_name(entry.name.lstrip("."))
        if entry.name.startswith("."):
            self.left_out.hidden_images += named
        elif not _is_file(entry):
            if entry.is_symlink():
                self.left_out.broken.append(self._relative(Path(entry.path)))
            else:
                self.left_out.no_plain_files += 1
        elif not named and (suffix_of(entry.name) or not is_image_content(Path(entry.path))):
            self.left_out.by_suffix[suffix_of(entry.name)] += 1
        elif entry.is_symlink():
            self._linked_files.append(Path(entry.path))
        else:
            self.images.append(Path(entry.path))
            self._folders_of_images.append(real)

    def _take_linked_files(self) -> None:
        if not self._linked_files:
            return
        taken = {f"{real}/{image.name}" for image, real in zip(self.images, self._folders_of_images, strict=True)}
        for image in sorted(self._linked_files):
            real = os.path.realpath(image)
            if real in taken:
                self.left_out.images_again += 1
            else:
                taken.add(real)
                self.images.append(image)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder == self.root:
                raise UserError(f"data.root: {folder} cannot be listed ({error.strerror})") from error
            self.left_out.unreadable.append(f"{self._relative(folder)} ({error.strerror})")
            return []

    @staticmethod
    def _kind(folder: Path, entries: list[os.DirEntry[str]]) -> str:
        return kind_of_output({entry.name for entry in entries}, lambda name: (folder / name).read_bytes())

    def _count_below(self, folder: Path, real: str, entries: list[os.DirEntry[str]] | None = None) -> int:
        """Images by name below a folder that is left out, so that no link leads into it either."""
        self._searched.add(real)
        inside = self._entries(folder) if entries is None else entries
        return sum(self._count(entry, f"{real}/{entry.name}") for entry in inside)

    def _count(self, entry: os.DirEntry[str], real: str) -> int:
        if _is_folder(entry):
            return 0 if entry.is_symlink() else self._count_below(Path(entry.path), real)
        return int(is_image_name(entry.name))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file()
    except OSError:
        return False
