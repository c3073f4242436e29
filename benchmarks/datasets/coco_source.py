"""Reading a COCO instances JSON of a stranger: everything is checked, every fault is one line that names its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import MAX_CATEGORIES
from scenebench.errors import UserError


@dataclass(frozen=True)
class SourceImage:
    """One image of the JSON with its annotations as they stand there.

    Attributes:
        path: the file, known to exist.
        width, height: as the JSON says; None where it does not.
        annotations: (index into the categories, annotation); the JSON's file and the annotation's id are in ``where``.
    """

    name: str
    path: Path
    width: int | None
    height: int | None
    annotations: list[tuple[int, dict[str, Any]]]
    where: str


@dataclass(frozen=True)
class CocoSource:
    """A checked JSON. ``categories`` are (id, name) sorted by id; ids may have gaps and start anywhere."""

    path: Path
    categories: list[tuple[int, str]]
    images: list[SourceImage]


def read_coco(path: Path | str, images_folder: Path | str) -> CocoSource:
    """Read and check a COCO instances JSON and that all its images are there.

    Raises:
        UserError: no such file or folder, an empty folder, not JSON, not COCO instances, no category, an id given
            twice, an annotation of an unknown image or category, an image that is not in the folder.
    """
    path, folder = Path(path), Path(images_folder)
    _check_folder(folder)
    content = _read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list) or not all(isinstance(entry, dict) for entry in content[key]):
            raise UserError(f"{path}: not COCO instances: '{key}' must be a list of objects")
    categories = _categories(path, content["categories"])
    annotations = _annotations_by_image(path, content, [number for number, _ in categories])
    images = [_image(path, folder, entry, annotations[entry["id"]]) for entry in content["images"]]
    _check_files(path, folder, images)
    return CocoSource(path, categories, images)


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of images")
    if not any(folder.iterdir()):
        raise UserError(f"{folder}: the folder of images is empty")


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise UserError(f"{path}: no such annotation file")
    try:
        content = json.loads(path.read_bytes())
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: not COCO instances: expected an object with images, annotations and categories, "
            f"found a {type(content).__name__}"
        )
    return content


def _categories(path: Path, entries: list[dict[str, Any]]) -> list[tuple[int, str]]:
    if not entries:
        raise UserError(f"{path}: 'categories' is empty; nothing can be learnt without a category")
    if len(entries) > MAX_CATEGORIES:
        raise UserError(f"{path}: {len(entries)} categories; a prepared data set holds at most {MAX_CATEGORIES}")
    for entry in entries:
        if not _is_integer(entry.get("id")) or not isinstance(entry.get("name"), str) or not entry["name"].strip():
            raise UserError(f"{path}: category {_short(entry)} needs an integer 'id' and a 'name'")
    _check_unique(path, "category id", [entry["id"] for entry in entries])
    ordered = sorted((int(entry["id"]), " ".join(entry["name"].split())) for entry in entries)
    names = [name for _, name in ordered]
    # Some tools export a super-category under the name of its only member.
    return [(number, name if names.count(name) == 1 else f"{name} (id {number})") for number, name in ordered]


def _annotations_by_image(
    path: Path, content: dict[str, Any], category_ids: Sequence[int]
) -> dict[Any, list[tuple[int, dict[str, Any]]]]:
    for entry in content["images"]:
        if not isinstance(entry.get("id"), int | str) or not isinstance(entry.get("file_name"), str):
            raise UserError(f"{path}: image {_short(entry)} needs an 'id' and a 'file_name'")
    _check_unique(path, "image id", [entry["id"] for entry in content["images"]])
    _check_unique(path, "annotation id", [entry["id"] for entry in content["annotations"] if "id" in entry])
    index_of = {number: index for index, number in enumerate(category_ids)}
    by_image: dict[Any, list[tuple[int, dict[str, Any]]]] = {entry["id"]: [] for entry in content["images"]}
    for entry in content["annotations"]:
        name = f"{path}: annotation {_short(entry.get('id', entry))}"
        image, category = entry.get("image_id"), entry.get("category_id")
        if not isinstance(image, int | str) or image not in by_image:
            raise UserError(f"{name} belongs to image {_short(image)}, which 'images' does not list")
        if not _is_integer(category) or category not in index_of:
            raise UserError(f"{name} has category {_short(category)}, which 'categories' does not list")
        by_image[image].append((index_of[category], entry))
    return by_image


def _image(
    path: Path, folder: Path, entry: dict[str, Any], annotations: list[tuple[int, dict[str, Any]]]
) -> SourceImage:
    name = entry["file_name"].replace("\\", "/")
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise UserError(f"{path}: file_name '{name}' must be a path inside the folder of images")
    size = {key: entry.get(key) for key in ("width", "height")}
    for key, value in size.items():
        if value is not None and (not _is_integer(value) or value < 1):
            raise UserError(f"{path}: image '{name}': {key} is {_short(value)}, not a positive number of pixels")
    return SourceImage(name, folder / name, size["width"], size["height"], annotations, where=f"{path}: image '{name}'")


def _check_files(path: Path, folder: Path, images: list[SourceImage]) -> None:
    _check_unique(path, "file_name", [image.name for image in images])
    missing = [image.name for image in images if not image.path.is_file()]
    if missing:
        more = f" and {len(missing) - 1} more are" if len(missing) > 1 else " is"
        raise UserError(
            f"{path}: image '{missing[0]}'{more} not in {folder}; file_name is read as a path inside that folder"
        )


def _check_unique(path: Path, what: str, values: list[Any]) -> None:
    seen: set[str] = set()
    for value in values:
        key = repr(value)
        if key in seen:
            raise UserError(f"{path}: {what} {_short(value)} is given twice")
        seen.add(key)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
