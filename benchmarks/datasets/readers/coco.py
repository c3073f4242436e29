"""COCO instances JSON on the layout of the official archives.

::

    ROOT/annotations/instances_train2017.json, instances_val2017.json
    ROOT/train2017/<12 digits>.jpg, ROOT/val2017/<12 digits>.jpg
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeGuard

from benchmarks.datasets.readers.lists import report_unlisted, require_image
from benchmarks.datasets.samples import Box, Fault, OfficialData, Sample, strict
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError

_NUMBERS = {int, float}


def read_coco2017(tree: Tree, fault: Fault = strict) -> OfficialData:
    """``train`` and ``val``. Category ids have gaps (1-90 for 80 classes); labels are their places in id order."""
    splits: dict[str, list[Sample]] = {}
    names: list[str] = []
    for split in ("train", "val"):
        relative = f"annotations/instances_{split}2017.json"
        classes, splits[split] = read_instances(tree, relative, f"{split}2017", fault)
        if names and classes != names:
            fault("label", tree.path(relative), "its categories are not those of the training split")
        names = names or classes
    return OfficialData("coco2017", tree.root, names, splits, [("train", "val")])


def read_instances(tree: Tree, relative: str, folder: str, fault: Fault) -> tuple[list[str], list[Sample]]:
    """One instances JSON and its images in ``folder``: (class names in id order, samples).

    Raises:
        UserError: the file is missing or not COCO instances at all.
    """
    path = tree.require_file(relative)
    content = _read_json(path)
    categories = sorted(content["categories"], key=lambda category: category["id"])
    label_of = {category["id"]: index for index, category in enumerate(categories)}
    boxes: dict[Any, list[Box]] = {image["id"]: [] for image in content["images"]}
    if len(boxes) != len(content["images"]):
        fault("list", path, "an image id is given twice")
    sizes = {image["id"]: _size(image) for image in content["images"]}
    _add_boxes(path, content["annotations"], boxes, sizes, label_of, fault)
    samples: list[Sample] = []
    for image in content["images"]:
        file = f"{folder}/{image['file_name']}"
        if require_image(tree, file, fault, relative):
            own = tuple(boxes[image["id"]])
            labels = tuple(sorted({box.label for box in own}))
            samples.append(Sample(tree.path(file), labels, own, size=sizes[image["id"]]))
    listed = {f"{folder}/{image['file_name']}" for image in content["images"]}
    report_unlisted(tree, folder, listed, fault, f"{Path(relative).name}")
    return [str(category["name"]) for category in categories], samples


def _add_boxes(
    path: Path,
    annotations: list[dict[str, Any]],
    boxes: dict[Any, list[Box]],
    sizes: dict[Any, tuple[int, int] | None],
    label_of: dict[Any, int],
    fault: Fault,
) -> None:
    seen: set[Any] = set()
    for annotation in annotations:
        where = f"annotation {annotation.get('id')}"
        keys = [annotation.get(key) for key in ("id", "image_id", "category_id")]
        if not all(isinstance(key, int | str) for key in keys):
            fault("list", path, f"{where}: needs an id, an image_id and a category_id")
            continue
        number, image, category = keys
        if number in seen:
            fault("list", path, f"{where}: this id is given twice")
        seen.add(number)
        if image not in boxes:
            fault("missing", path, f"{where}: of image {image}, which 'images' does not list")
            continue
        if category not in label_of:
            fault("label", path, f"{where}: category {category} is none of 'categories'")
            continue
        box = annotation.get("bbox")
        if not _are_numbers(box) or len(box) != 4:
            fault("box", path, f"{where}: bbox is {box!r}, not four numbers")
            continue
        left, top, width, height = box
        crowd = bool(annotation.get("iscrowd"))
        boxes[image].append(Box(label_of[category], left, top, left + width, top + height, crowd=crowd, where=where))
        problem = _mask_problem(annotation.get("segmentation"), sizes[image])
        if problem:
            fault("mask", path, f"{where}: {problem}")


def _mask_problem(segmentation: Any, size: tuple[int, int] | None) -> str:
    """What is wrong with a polygon list or a run-length encoding; empty where nothing is."""
    if not segmentation:
        return "has no segmentation"
    if isinstance(segmentation, dict):
        shape = segmentation.get("size")
        if size is not None and shape != [size[1], size[0]]:
            return f"its run lengths are of size {shape}, the image of {[size[1], size[0]]}"
        return ""
    if not isinstance(segmentation, list):
        return "its segmentation is neither polygons nor run lengths"
    for polygon in segmentation:
        if not _are_numbers(polygon) or len(polygon) < 6 or len(polygon) % 2:
            return "a polygon is not a list of at least three points"
    return ""


def _are_numbers(values: Any) -> TypeGuard[list[float]]:
    return isinstance(values, list) and set(map(type, values)) <= _NUMBERS


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    width, height = image.get("width"), image.get("height")
    return (width, height) if isinstance(width, int) and isinstance(height, int) else None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    needed: dict[str, dict[str, Any]] = {
        "images": {"id": int | str, "file_name": str},
        "annotations": {},
        "categories": {"id": int, "name": str},
    }
    for key, fields in needed.items():
        entries = content.get(key) if isinstance(content, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise UserError(f"{path}: not COCO instances: '{key}' must be a list of objects")
        for entry in entries:
            for field, kind in fields.items():
                if not isinstance(entry.get(field), kind):
                    raise UserError(f"{path}: not COCO instances: an entry of '{key}' lacks or mistypes {field}")
    return content
