"""The images of a split with their boxes and semantic maps, from a prepared folder or an official layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.datasets.samples import Box
from benchmarks.evaluation.inputs import choose
from benchmarks.evaluation.official import OfficialFolder
from benchmarks.frozen.feature_cache import stamp_of
from scenebench.errors import UserError


@dataclass(frozen=True)
class AnnotatedImages:
    """Images of one split that take part.

    Attributes:
        boxes: by image, in pixels of the file; empty for every image where maps were asked for.
        sizes: width and height by image as the annotations say; None where they do not.
        maps: semantic maps by image; empty where boxes were asked for.
        classes: names by category (boxes) or by value of the maps.
        stamp: changes when an image file does; names stored features.
        notes: sentences for the record.
    """

    split: str
    paths: list[Path]
    boxes: list[tuple[Box, ...]]
    sizes: list[tuple[int, int] | None]
    maps: list[Path]
    classes: list[str]
    stamp: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)


def images_with_boxes(data: DatasetFolder, split: str, limit: int | None) -> AnnotatedImages:
    """The images of ``split``, or the fixed choice of ``limit`` of them, with their objects.

    Raises:
        UserError: no such split, it is empty, or no image of it has a box.
    """
    paths = _listed(data, split)
    if isinstance(data, OfficialFolder):
        samples = data.official.split(split)
        boxes, sizes = [sample.boxes for sample in samples], [sample.size for sample in samples]
    else:
        boxes, sizes = _from_instances(data, split, paths)
    if not any(boxes):
        raise UserError(f"{data.root}: no image of split '{split}' has a box; this protocol is about objects")
    return _limited(data, split, limit, paths, boxes, sizes, [], data.categories)


def images_with_maps(data: DatasetFolder, split: str, limit: int | None) -> AnnotatedImages:
    """The images of ``split``, or the fixed choice of ``limit`` of them, with their semantic maps.

    Raises:
        UserError: no such split, it is empty, or an image has no map.
    """
    paths = _listed(data, split)
    maps = data.semantic(split)
    nothing: list[tuple[Box, ...]] = [()] * len(paths)
    return _limited(data, split, limit, paths, nothing, [None] * len(paths), maps, data.semantic_classes)


def _listed(data: DatasetFolder, split: str) -> list[Path]:
    paths = data.images(split)
    if not paths:
        raise UserError(f"{data.root}: split '{split}' holds no images")
    return paths


def _limited(
    data: DatasetFolder,
    split: str,
    limit: int | None,
    paths: Sequence[Path],
    boxes: Sequence[tuple[Box, ...]],
    sizes: Sequence[tuple[int, int] | None],
    maps: Sequence[Path],
    classes: Sequence[str],
) -> AnnotatedImages:
    chosen = choose(len(paths), limit)
    kept = [paths[index] for index in chosen]
    note = (f"{len(kept)} of the {len(paths)} images of split '{split}' (a fixed choice)",)
    return AnnotatedImages(
        split=split,
        paths=kept,
        boxes=[boxes[index] for index in chosen],
        sizes=[sizes[index] for index in chosen],
        maps=[maps[index] for index in chosen] if maps else [],
        classes=list(classes),
        stamp=stamp_of(kept),
        notes=note if len(kept) < len(paths) else (),
    )


def _from_instances(
    data: DatasetFolder, split: str, paths: Sequence[Path]
) -> tuple[list[tuple[Box, ...]], list[tuple[int, int] | None]]:
    content, folder = data.instances(split)
    where = data.annotations(split)
    try:
        labels = {one["id"]: label for label, one in enumerate(sorted(content["categories"], key=lambda c: c["id"]))}
        images = {one["id"]: one for one in content["images"]}
        boxes: dict[Any, list[Box]] = {}
        for annotation in content["annotations"]:
            boxes.setdefault(annotation["image_id"], []).append(_box(annotation, labels[annotation["category_id"]]))
        by_path = {
            folder / one["file_name"]: (tuple(boxes.get(key, ())), (int(one["width"]), int(one["height"])))
            for key, one in images.items()
        }
        found = [by_path[path] for path in paths]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{where}: lacks or mistypes {error}; prepare the data set again") from error
    return [own for own, _ in found], [size for _, size in found]


def _box(annotation: dict[str, Any], label: int) -> Box:
    left, top, width, height = (float(value) for value in annotation["bbox"])
    name = f"annotation {annotation.get('id')}"
    crowd = bool(annotation.get("iscrowd", 0))
    return Box(label, left, top, left + width, top + height, bool(annotation.get("difficult", 0)), crowd, name)
