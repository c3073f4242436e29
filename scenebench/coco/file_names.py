"""Which file a ``file_name`` means.

It is a path inside the folder of images, with ``/`` or ``\\`` between the parts. Read as well: an absolute path into
that folder, a path that begins with the folder's own last names (``images/1.jpg`` in ``.../images``), and a name that
differs from the file's in its Unicode form alone (systems differ in whether an accent is part of its letter).
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

OTHER_FORM = "file names found under another Unicode form than the annotations give"


def composed(name: str) -> str:
    """The name in the form in which accents are part of their letters (NFC)."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def unicode_form(name: str) -> str:
    """NFC or NFD, or 'mixed' for a name in neither form; empty where both are the same."""
    forms = [form for form in ("NFC", "NFD") if unicodedata.is_normalized(form, name)]
    return forms[0] if len(forms) == 1 else "" if forms else "mixed"


def parts_of(name: str) -> tuple[str, ...]:
    """The parts of a path with ``/`` or ``\\`` between them; an absolute one begins with ``/``."""
    return PurePosixPath(name.replace("\\", "/")).parts


def inside(name: str, folder: Path) -> str | None:
    """The path relative to ``folder`` that ``name`` gives, with ``/`` between the parts; None where it leads out."""
    parts = parts_of(name)
    if not parts or ".." in parts:
        return None
    if parts[0] != "/":
        return "/".join(parts)
    path = Path(*parts)
    for found, base in ((path, folder.absolute()), (_real(path), Path(os.path.realpath(folder)))):
        if found.is_relative_to(base) and found != base:
            return found.relative_to(base).as_posix()
    return None


def _real(path: Path) -> Path:
    """Without links in the folders above; the file itself may be one."""
    return Path(os.path.realpath(path.parent)) / path.name


class FileFinder:
    """Finds the files of one folder.

    Args:
        folder: of the images.
        exists: whether there is a file of this relative path.
        listing: relative paths of all files; asked for once, when a name needs it.
    """

    def __init__(
        self, folder: Path, exists: Callable[[str], bool], listing: Callable[[], Iterable[str]] | None = None
    ) -> None:
        self.folder = folder
        self._exists = exists
        self._listing = listing or self._walk
        self._by_composed: dict[str, list[str]] | None = None
        self.other_form: list[tuple[str, str]] = []
        """(name given, file found) wherever the Unicode form differs."""

    def find(self, relative: str) -> str | None:
        """The file that a path from :func:`inside` means; None where there is none, or more than one."""
        for candidate in [relative, *self._without_own_names(relative)]:
            if self._exists(candidate):
                return candidate
        if relative.isascii():
            return None
        found = self._same_letters(relative)
        if len(found) != 1:
            return None
        self.other_form.append((relative, found[0]))
        return found[0]

    def _without_own_names(self, relative: str) -> list[str]:
        parts, own = relative.split("/"), self.folder.absolute().parts
        counts = range(1, min(len(parts), len(own)))
        return ["/".join(parts[count:]) for count in counts if tuple(parts[:count]) == own[-count:]]

    def _same_letters(self, relative: str) -> list[str]:
        if self._by_composed is None:
            self._by_composed = {}
            for name in self._listing():
                if not name.isascii():
                    self._by_composed.setdefault(composed(name), []).append(name)
        for candidate in [relative, *self._without_own_names(relative)]:
            found = self._by_composed.get(composed(candidate), [])
            if found:
                return found
        return []

    def _walk(self) -> Iterable[str]:
        for place, _, names in os.walk(self.folder):
            base = Path(place).relative_to(self.folder)
            yield from ((base / name).as_posix() for name in names)


def describe_other_forms(pairs: list[tuple[str, str]]) -> str:
    """How many names were found under another Unicode form, and which forms these are."""
    given, found = pairs[0]
    forms = f"'{given}' is {unicode_form(given)} there and {unicode_form(found)} on the disk"
    return f"{len(pairs)} {OTHER_FORM} ({forms})"
