"""The file: a COCO instances JSON as categories, images and the annotations of each image, all checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from scenebench.coco.values import Id, as_id, as_integer, is_crowd, is_number, is_text, shown
from scenebench.errors import UserError

MAX_PIXELS = 178_956_970
"""No picture has more: Pillow decodes none."""

Fault: TypeAlias = Callable[[str, str], None]
"""Takes the kind of a fault, as ``scenebench data check`` names them, and a message; the item is then left out."""


class Annotation(NamedTuple):
    """An annotation. (A tuple, for COCO has 860,000 of them.)

    Attributes:
        category: index into the file's categories.
        content: as it stands in the file.
        place: in the file's list.
    """

    category: int
    crowd: bool
    content: dict[str, Any]
    place: int

    @property
    def name(self) -> str:
        """What errors call it."""
        return _name(self.content, self.place)


@dataclass(frozen=True)
class ImageEntry:
    """An entry of ``images``: ``width`` and ``height`` in pixels, None where the file does not say them."""

    id: Id
    file_name: str
    width: int | None
    height: int | None


@dataclass(frozen=True)
class CocoFile:
    """A checked file.

    Attributes:
        categories: (id, name), sorted by id; ids may have gaps and start anywhere, names differ.
        images: in the order of the file.
        annotations: by the image's id; every image has a list.
        without_name: categories that have no name in the file and are called by their id.
        constants: NaN and infinite numbers in the file, which JSON does not have.
    """

    path: Path
    categories: list[tuple[int, str]]
    images: list[ImageEntry]
    annotations: dict[Id, list[Annotation]]
    without_name: int = 0
    constants: int = 0


def read_coco_file(path: Path | str, fault: Fault | None = None) -> CocoFile:
    """Read a COCO instances JSON.

    Ids may be written as 1.0; the ids of annotations mean nothing and may come twice. A list without any category, or
    with an id twice, is no data set.

    Args:
        fault: told of each faulty image and annotation; None: the first one is an error.

    Raises:
        UserError: no such file, not JSON, not COCO instances, no category, a category or image without an id; and where
            ``fault`` is None what it would be told.
    """
    path = Path(path)

    def refuse(kind: str, message: str) -> None:
        raise UserError(f"{path}: {message}")

    tell = fault or refuse
    content, constants = _read_json(path)
    for key in ("images", "annotations", "categories"):
        if not isinstance(content.get(key), list) or not all(isinstance(entry, dict) for entry in content[key]):
            raise UserError(f"{path}: not COCO instances: '{key}' must be a list of objects")
    images = _images(path, content["images"], tell)
    categories, without_name = _categories(path, content["categories"])
    index_of = {number: index for index, (number, _) in enumerate(categories)}
    annotations: dict[Id, list[Annotation]] = {image.id: [] for image in images}
    for place, entry in enumerate(content["annotations"]):
        _add_annotation(entry, place, annotations, index_of, tell)
    return CocoFile(path, categories, images, annotations, without_name, constants)


def _read_json(path: Path) -> tuple[dict[str, Any], int]:
    """The content, and how many of its numbers are none of JSON's. Python writes NaN; most of them do no harm."""
    constants = 0

    def keep(name: str) -> float:
        nonlocal constants
        constants += 1
        return float(name.replace("Infinity", "inf"))

    if not path.is_file():
        raise UserError(f"{path}: no such annotation file; give a COCO instances JSON")
    try:
        content = json.loads(path.read_bytes(), parse_constant=keep)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); give a COCO instances JSON") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path}: not COCO instances: it holds a {type(content).__name__}, not an object with images, annotations "
            "and categories"
        )
    return content, constants


def _images(path: Path, entries: list[dict[str, Any]], tell: Fault) -> list[ImageEntry]:
    images: dict[Id, ImageEntry] = {}
    for place, entry in enumerate(entries):
        number, name = as_id(entry.get("id")), entry.get("file_name")
        if number is None or not isinstance(name, str) or not name or not is_text(name, "surrogateescape"):
            raise UserError(
                f"{path}: not COCO instances: images[{place}] {shown(entry)} needs an 'id', a whole number or text, "
                "and a 'file_name'"
            )
        if number in images:
            tell("list", f"image id {shown(number)} is given twice")
            continue
        width, height = (_side(entry.get(key), f"image '{name}': {key}", tell) for key in ("width", "height"))
        if width and height and width * height > MAX_PIXELS:
            tell("size", f"image '{name}': {width} x {height} pixels are more than any picture can have")
            width = height = None
        images[number] = ImageEntry(number, name, width, height)
    return [*images.values()]


def _side(value: Any, what: str, tell: Fault) -> int | None:
    side = as_integer(value)
    if value is not None and (side is None or side < 1):
        tell("size", f"{what} is {shown(value)}, not a positive number of pixels")
        return None
    return side


def _categories(path: Path, entries: list[dict[str, Any]]) -> tuple[list[tuple[int, str]], int]:
    if not entries:
        raise UserError(f"{path}: 'categories' is empty; nothing can be learnt without a category")
    names: dict[int, str] = {}
    without_name = 0
    for entry in entries:
        number, name = as_integer(entry.get("id")), entry.get("name")
        if number is None:
            raise UserError(f"{path}: category {shown(entry)} needs an integer 'id'")
        if number in names:
            raise UserError(f"{path}: category id {number} is given twice")
        if name is None or (isinstance(name, str) and not name.strip()):
            name, without_name = f"category {number}", without_name + 1
        if not is_text(name) and not is_number(name):
            raise UserError(f"{path}: category {shown(entry)} needs a 'name'")
        names[number] = " ".join(str(name).split())
    ordered = sorted(names.items())
    given = [name for _, name in ordered]
    # Some tools export a super-category under the name of its only member.
    unique = [(number, name if given.count(name) == 1 else f"{name} (id {number})") for number, name in ordered]
    return unique, without_name


def _add_annotation(
    entry: dict[str, Any],
    place: int,
    annotations: dict[Id, list[Annotation]],
    index_of: dict[int, int],
    tell: Fault,
) -> None:
    image, category = as_id(entry.get("image_id")), as_integer(entry.get("category_id"))
    if image is None or category is None:
        key, kind = ("image_id", "a whole number or text") if image is None else ("category_id", "a whole number")
        lacking = f"'{key}' is {shown(entry[key])}, not {kind}" if key in entry else f"lacks '{key}'"
        tell("list", f"{_name(entry, place)}: {lacking}")
        return
    if image not in annotations:
        other: Id = str(image) if isinstance(image, int) else as_integer(_number(image)) or image
        hint = f" (there is an image {shown(other)}: write both alike)" if other in annotations else ""
        tell("missing", f"{_name(entry, place)} belongs to image {shown(image)}, which 'images' does not list{hint}")
        return
    if category not in index_of:
        tell("label", f"{_name(entry, place)} has category {category}, which 'categories' does not list")
        return
    try:
        crowd = is_crowd(entry.get("iscrowd"))
    except ValueError as error:
        tell("list", f"{_name(entry, place)}: {error}")
        return
    annotations[image].append(Annotation(index_of[category], crowd, entry, place))


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _name(entry: dict[str, Any], place: int) -> str:
    number = as_id(entry.get("id"))
    return f"annotations[{place}]" if number is None else f"annotation {number}"
