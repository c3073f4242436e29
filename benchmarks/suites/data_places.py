"""Published data sets below one folder: where each one lies, and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets.checking.layout import find_layout
from benchmarks.datasets.registry import describe
from scenebench.errors import UserError

# What a pretraining reads of a published data set: folder of images, annotations (for methods that learn from labels).
PRETRAINING = {
    "coco2017": ("train2017", "annotations/instances_train2017.json"),
    "imagenet": ("train", ""),
}


@dataclass(frozen=True)
class DataPlace:
    """``root``: where a data set lies, or should; ``lacks``: what is missing of its layout; None: all of it."""

    name: str
    root: Path
    lacks: list[str] | None

    @property
    def is_complete(self) -> bool:
        """Whether the whole layout is there. (Whether every image is, says 'scenebench data check'.)"""
        return self.lacks == []

    def line(self) -> str:
        """One line for a person."""
        if self.is_complete:
            return f"{self.name}: present at {self.root} (complete? 'scenebench data check {self.name} {self.root}')"
        lacks = "missing" if self.lacks is None else f"incomplete: lacks {', '.join(self.lacks)}"
        return f"{self.name}: {lacks} (expected at {self.root}; get it from {describe(self.name).get_from})"


def place_of(name: str, folder: Path | str) -> DataPlace:
    """Look for the data set ``name`` of the registry at or below ``folder``, which need not exist."""
    description = describe(name)
    folder = Path(folder).resolve()
    found = find_layout(folder, description) if folder.is_dir() else None
    if found is None:
        return DataPlace(name, folder / description.folder, None)
    return DataPlace(name, found[0], [entry.alternatives[0] for entry in found[1]])


def require_complete(places: Iterable[DataPlace]) -> None:
    """Raise UserError naming every data set that is not there."""
    lacking = [place.line() for place in places if not place.is_complete]
    if lacking:
        raise UserError(f"{'; '.join(lacking)}. Name the folder that holds them by --data (DATA=FOLDER)")
