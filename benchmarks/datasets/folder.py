"""The prepared data set: one folder layout that every data source is written into and every benchmark reads.

::

    ROOT/dataset.json                        name, version, fingerprint, source, categories, splits
    ROOT/images/<split>/<stem>.jpg           8-bit RGB JPEG, no EXIF rotation
    ROOT/annotations/instances_<split>.json  COCO instances; file_name is relative to ROOT/images/<split>
    ROOT/semantic/<split>/<stem>.png         uint8 palette PNG: 0 background, 1 + i category i, 255 ignored;
                                             without a background (dataset.json says so): i category i, 255 ignored
    ROOT/multilabel/<split>.csv              file_name,labels; labels are 0-based category indices with spaces between
    ROOT/scene_types/<split>.csv             file_name,scene_type; only where the source knows scene types
    ROOT/contact_sheet.png                   some images with their masks drawn

A data set of maps alone has no ``annotations``, one of boxes alone no ``semantic``.
"""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenebench.errors import UserError, did_you_mean
from scenebench.files import sha256_of

FORMAT_VERSION = 1
DESCRIPTION = "dataset.json"
IGNORED = 255
BACKGROUND_NAME = "background"
MAX_CATEGORIES = 254
"""Category i is stored as 1 + i in a uint8 map whose 255 is taken."""


@dataclass(frozen=True)
class DatasetFolder:
    """A prepared data set on disk. Everything but the description is read when asked for.

    Attributes:
        root: the folder.
        name, version: of the data set; the version changes when the same arguments would give other data.
        fingerprint: 16 hexadecimal digits over the images' and annotations' bytes; equal data, equal fingerprint.
        categories: names in the order of their COCO ids; a category's index is its place in this list.
        splits: number of images by split name.
        source: what the data was made from, as plain data.
        background: whether 0 in the semantic maps is a class of its own, the background.
    """

    root: Path
    name: str
    version: str
    fingerprint: str
    categories: list[str]
    splits: dict[str, int]
    source: dict[str, Any]
    background: bool = True

    @classmethod
    def open(cls, root: Path | str) -> DatasetFolder:
        """Read ``root/dataset.json``.

        Raises:
            UserError: no such folder, not a prepared data set, or of another format version.
        """
        root = Path(root)
        description = root / DESCRIPTION
        if not root.is_dir():
            raise UserError(
                f"{root}: no such folder; prepare data with 'scenebench data scenes' or 'scenebench data coco'"
            )
        if not description.is_file():
            raise UserError(
                f"{root}: not a prepared data set ({DESCRIPTION} is missing); "
                "prepare one with 'scenebench data scenes' or 'scenebench data coco'"
            )
        try:
            content = json.loads(description.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise UserError(f"{description}: not readable as JSON ({error}); prepare the data set again") from error
        version = content.get("format_version") if isinstance(content, dict) else None
        if version != FORMAT_VERSION:
            raise UserError(f"{description}: data set format {version}, this version reads format {FORMAT_VERSION}")
        try:
            return cls(
                root=root,
                name=str(content["name"]),
                version=str(content["version"]),
                fingerprint=str(content["fingerprint"]),
                categories=[str(name) for name in content["categories"]],
                splits={str(split): int(count) for split, count in content["splits"].items()},
                source=dict(content["source"]),
                background=bool(content.get("background", True)),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{description}: lacks or mistypes {error}; prepare the data set again") from error

    @property
    def description(self) -> dict[str, Any]:
        """The content of ``dataset.json``."""
        return {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "source": self.source,
            "categories": self.categories,
            "splits": self.splits,
            **({} if self.background else {"background": False}),
        }

    def images(self, split: str) -> list[Path]:
        """The images of a split, sorted by file name."""
        return self._listing(split, "images", ".jpg")

    def annotations(self, split: str) -> Path:
        """The COCO instances JSON of a split."""
        if not self.has_instances:
            raise UserError(f"{self.root}: data set '{self.name}' has no annotated objects; choose one that has")
        return self._file(split, f"annotations/instances_{split}.json")

    def semantic(self, split: str) -> list[Path]:
        """The semantic maps of a split, in the order of :meth:`images`."""
        self._check_split(split)
        if not (self.root / "semantic").is_dir():
            raise UserError(f"{self.root}: data set '{self.name}' has no semantic maps; choose one that has")
        maps = {path.stem: path for path in self._listing(split, "semantic", ".png")}
        images = self.images(split)
        for image in images:
            if image.stem not in maps:
                raise UserError(f"{self.root}/semantic/{split}: no map for {image.name}; prepare the data set again")
        return [maps[image.stem] for image in images]

    def instances(self, split: str) -> tuple[dict[str, Any], Path]:
        """The COCO instances of a split, and the folder that their file names are relative to."""
        content: dict[str, Any] = json.loads(self.annotations(split).read_text(encoding="utf-8"))
        return content, self.root / "images" / split

    @property
    def has_instances(self) -> bool:
        """Whether objects are annotated; else the data set has semantic maps alone."""
        return (self.root / "annotations").is_dir() or not (self.root / "semantic").is_dir()

    @property
    def semantic_classes(self) -> list[str]:
        """Names by value of the semantic maps: the background, where there is one, then the categories."""
        return [BACKGROUND_NAME, *self.categories] if self.background else list(self.categories)

    def multilabel(self, split: str) -> NDArray[np.uint8]:
        """Which categories an image holds: uint8 0/1, images x categories, rows in the order of :meth:`images`."""
        rows = self._rows(split, f"multilabel/{split}.csv", ["file_name", "labels"])
        labels = np.zeros((len(rows), len(self.categories)), dtype=np.uint8)
        for row, text in enumerate(rows):
            try:
                indices = [int(index) for index in text.split()]
            except ValueError as error:
                raise UserError(f"{self.root}/multilabel/{split}.csv: '{text}' are not category indices") from error
            if any(not 0 <= index < len(self.categories) for index in indices):
                raise UserError(f"{self.root}/multilabel/{split}.csv: '{text}' names none of the categories")
            labels[row, indices] = 1
        return labels

    def scene_types(self, split: str) -> NDArray[np.int64] | None:
        """The scene type of each image of :meth:`images`, int64; None where the data set knows none."""
        self._check_split(split)
        if not (self.root / "scene_types").is_dir():
            return None
        rows = self._rows(split, f"scene_types/{split}.csv", ["file_name", "scene_type"])
        try:
            return np.array([int(text) for text in rows], dtype=np.int64)
        except ValueError as error:
            raise UserError(f"{self.root}/scene_types/{split}.csv: {error}") from error

    def compute_fingerprint(self) -> str:
        """Hash the bytes on disk again; differs from :attr:`fingerprint` where a file was changed, added or lost."""
        return fingerprint_of(self.root)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise UserError(
                f"{self.root}: data set '{self.name}' has no split '{split}'{did_you_mean(split, self.splits)}"
            )

    def _file(self, split: str, relative: str) -> Path:
        self._check_split(split)
        path = self.root / relative
        if not path.is_file():
            raise UserError(f"{path}: missing from data set '{self.name}'; prepare the data set again")
        return path

    def _listing(self, split: str, kind: str, suffix: str) -> list[Path]:
        self._check_split(split)
        folder = self.root / kind / split
        paths = folder.iterdir() if folder.is_dir() else []
        names = sorted(path.name for path in paths if path.suffix == suffix)
        if len(names) != self.splits[split]:
            raise UserError(
                f"{folder}: holds {len(names)} {suffix} files where {DESCRIPTION} says {self.splits[split]}; "
                "prepare the data set again"
            )
        return [folder / name for name in names]

    def _rows(self, split: str, relative: str, header: list[str]) -> list[str]:
        """The second column of a two-column CSV, in the order of :meth:`images`."""
        path = self._file(split, relative)
        with open(path, newline="", encoding="utf-8") as file:
            first, *rows = [*csv.reader(file)] or [[]]
        if first != header or any(len(row) != 2 for row in rows):
            raise UserError(f"{path}: expected the columns {','.join(header)}; prepare the data set again")
        values = dict(rows)
        images = self.images(split)
        if len(values) != len(rows) or values.keys() != {image.name for image in images}:
            raise UserError(f"{path}: its file names are not those of images/{split}; prepare the data set again")
        return [values[image.name] for image in images]


def fingerprint_of(root: Path) -> str:
    """Sixteen hexadecimal digits over names and bytes of every image and annotation file under ``root``.

    Semantic maps are made of the annotations; where there are none, they are what is annotated.
    """
    total = hashlib.sha256()
    for kind in ("annotations", "images") if (root / "annotations").is_dir() else ("images", "semantic"):
        for path in sorted((root / kind).rglob("*"), key=lambda path: path.relative_to(root).as_posix()):
            if path.is_file():
                total.update(f"{path.relative_to(root).as_posix()}\0{sha256_of(path)}\n".encode())
    return total.hexdigest()[:16]
