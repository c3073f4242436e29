"""What a source was found to hold: its images, and in words what was left out of them and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pretrain.data.sources.image_file import IMAGE_SUFFIXES, ImageFile
from scenebench.errors import UserError

_MOST = 6  # names or suffixes in one sentence


@dataclass
class LeftOut:
    """Counts of what a search passes over, as it meets it.

    Attributes:
        by_suffix: files that are not taken for images; "" for those without a suffix, which were looked into.
        of_own: images by the output of this suite that they belong to, "run folder runs/mls".
        broken: links that lead nowhere.
        unreadable: folders that cannot be listed, with the reason.
    """

    by_suffix: Counter[str] = field(default_factory=Counter)
    of_own: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    hidden_images: int = 0
    hidden_folders: int = 0
    no_plain_files: int = 0
    images_again: int = 0
    folders_again: int = 0

    def phrases(self) -> list[str]:
        """One phrase a reason, what may surprise most first."""
        unread = Counter(dict(self.by_suffix))
        without = unread.pop("", 0)
        others = sum(count for _, count in unread.most_common()[_MOST:])
        return [
            *(f"the folder {folder}" for folder in self.unreadable),
            *(f"{count} of the {what}" for what, count in sorted(self.of_own.items()) if count),
            *_counted(self.images_again, "reached by a second way and counted once"),
            *_counted(self.folders_again, "link to a folder searched already", "links to folders searched already"),
            *([f"{len(self.broken)} broken: {', '.join(self.broken[:_MOST])}"] if self.broken else []),
            *_counted(self.no_plain_files, "no plain file", "no plain files"),
            *_counted(self.hidden_images, "hidden"),
            *_counted(self.hidden_folders, "hidden folder", "hidden folders"),
            *(f"{count} {suffix} (not read)" for suffix, count in unread.most_common(_MOST)),
            *_counted(others, "file of another kind", "files of other kinds"),
            *_counted(without, "without a suffix and no image", "without a suffix and no images"),
        ]


@dataclass(frozen=True)
class Found:
    """The images of a source.

    Attributes:
        images: sorted by path.
        place: what the user calls the source.
        left_out: a phrase for each reason.
        notes: further phrases.
    """

    images: list[ImageFile]
    place: Path
    left_out: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def line(self) -> str:
        """How many images there are and what was left out, in one line."""
        count = f"{len(self.images)} picture{'' if len(self.images) == 1 else 's'} in {self.place}"
        left_out = [f"left out: {', '.join(self.left_out)}"] if self.left_out else []
        return "; ".join([count, *self.notes, *left_out])


def require_some(found: Found) -> Found:
    """``found``, where it holds an image.

    Raises:
        UserError: it holds none; says what was left out, or what was looked for.
    """
    if found.images:
        return found
    why = f"; left out: {', '.join(found.left_out)}" if found.left_out else ""
    raise UserError(f"data.root: no image in {found.place}{why} (read are {', '.join(sorted(IMAGE_SUFFIXES))})")


def _counted(count: int, one: str, many: str = "") -> list[str]:
    return [f"{count} {many if many and count > 1 else one}"] if count else []
