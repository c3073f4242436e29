"""The user's COCO instances JSON with the folder of its images: all of both must be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.datasets.folder import MAX_CATEGORIES
from scenebench.coco.document import Annotation, CocoFile, ImageEntry, read_coco_file
from scenebench.coco.file_names import FileFinder, describe_other_forms, inside
from scenebench.coco.values import shown
from scenebench.errors import UserError


@dataclass(frozen=True)
class SourceImage:
    """One image of the JSON with its annotations.

    Attributes:
        name: path inside the folder of images, as the file lies there.
        path: the file, known to exist.
        width, height: as the JSON says; None where it does not.
        json: the file that lists it.
        file_name: as the JSON has it.
    """

    json: Path
    file_name: str
    name: str
    path: Path
    width: int | None
    height: int | None
    annotations: list[Annotation]

    @property
    def where(self) -> str:
        """Names JSON and image in errors."""
        return f"{self.json}: image '{self.file_name}'"


@dataclass(frozen=True)
class CocoSource:
    """A checked JSON. ``categories`` are (id, name) sorted by id; ids may have gaps and start anywhere.

    Attributes:
        notes: what is unusual about names, a line each.
    """

    path: Path
    categories: list[tuple[int, str]]
    images: list[SourceImage]
    notes: list[str] = field(default_factory=list)


def read_coco(path: Path | str, images_folder: Path | str) -> CocoSource:
    """Read and check a COCO instances JSON and that all its images are there.

    Raises:
        UserError: no such file or folder, an empty folder, whatever ``read_coco_file`` refuses, more categories than a
            prepared data set holds, an image that is not in the folder.
    """
    path, folder = Path(path), Path(images_folder)
    _check_folder(folder)
    coco = read_coco_file(path)
    if len(coco.categories) > MAX_CATEGORIES:
        raise UserError(
            f"{path}: {len(coco.categories)} categories; a prepared data set holds at most {MAX_CATEGORIES}"
        )
    _check_not_all_crowds(coco)
    finder = FileFinder(folder, lambda relative: (folder / relative).is_file())
    names = _find_files(coco, folder, finder)
    images = [_image(coco, folder, entry, name) for entry, name in zip(coco.images, names, strict=True)]
    notes = [f"{coco.without_name} categories without a name: called by their id"] if coco.without_name else []
    notes += [describe_other_forms(finder.other_form)] if finder.other_form else []
    return CocoSource(path, coco.categories, images, notes)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images")
    if not any(folder.iterdir()):
        raise UserError(f"{folder}: the folder of images is empty")


def _check_not_all_crowds(coco: CocoFile) -> None:
    flags = [annotation.crowd for annotations in coco.annotations.values() for annotation in annotations]
    if flags and all(flags):
        raise UserError(
            f"{coco.path}: all {len(flags)} annotations are crowds ('iscrowd' 1), which are neither trained on nor "
            "evaluated; set 'iscrowd' to 0 where an annotation is of one object"
        )


def _find_files(coco: CocoFile, folder: Path, finder: FileFinder) -> list[str]:
    names: list[str] = []
    missing: list[str] = []
    for entry in coco.images:
        relative = inside(entry.file_name, folder)
        if relative is None:
            raise UserError(f"{coco.path}: file_name '{entry.file_name}' must be a path inside the folder of images")
        found = finder.find(relative)
        if found is None:
            missing.append(entry.file_name)
        names.append(found or relative)
    seen: set[str] = set()
    for entry, name in zip(coco.images, names, strict=True):
        if name in seen:
            raise UserError(f"{coco.path}: file_name {shown(entry.file_name)} is given twice")
        seen.add(name)
    if missing:
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise UserError(
            f"{coco.path}: image '{missing[0]}'{more} not in {folder}; file_name is read as a path inside that folder"
        )
    return names


def _image(coco: CocoFile, folder: Path, entry: ImageEntry, name: str) -> SourceImage:
    size = entry.width, entry.height
    return SourceImage(coco.path, entry.file_name, name, folder / name, *size, coco.annotations[entry.id])
