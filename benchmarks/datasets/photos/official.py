"""Small sets out of the official data.

::

    COCO_ROOT/annotations/instances_train2017.json, train2017/<12 digits>.jpg
    ADE_ROOT/images/validation/<name>.jpg, annotations/validation/<name>.png
    VOC_ROOT/JPEGImages/<name>.jpg, SegmentationClass/<name>.png, SegmentationClassAug/<name>.png
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from benchmarks.datasets.photos.entries import Entry, Pictures, map_categories, require_all
from benchmarks.datasets.photos.given import entries_of
from benchmarks.datasets.photos.sets import PhotoSet
from benchmarks.datasets.tree import Tree
from scenebench.coco.document import CocoFile, read_coco_file
from scenebench.errors import UserError

ANIMALS = frozenset(range(16, 26))
"""COCO's ids of bird, cat, dog, horse, sheep, cow, elephant, bear, zebra and giraffe: one category in the small set."""
ANIMAL = (16, "animal")
_COCO_JSON = "annotations/instances_train2017.json"


def read_official_part(photo_set: PhotoSet, root: Path | str, names: list[str]) -> Pictures:
    """The pictures ``names`` of one set.

    Raises:
        UserError: no such folder, an annotation file that cannot be read, or a picture or map that is not there.
    """
    tree = Tree(root)
    how = f"the official pictures at {photo_set.of}, made small"
    if photo_set.has_boxes:
        file = read_coco_file(tree.require_file(_COCO_JSON))
        require_all(names, tree.files("train2017"), tree.path("train2017"))
        return _of_coco(file, tree.path("train2017"), names, how)
    if photo_set.name == "voc_small":
        pictures, maps = "JPEGImages", ["SegmentationClass", "SegmentationClassAug"]
    else:
        pictures, maps = "images/validation", ["annotations/validation"]
    require_all(names, tree.files(pictures), tree.path(pictures))
    entries = [Entry(name, tree.path(f"{pictures}/{name}"), _map_of(tree, name, maps)) for name in names]
    lacking = [entry.file_name for entry in entries if entry.map is None]
    if lacking:
        more = f" and {len(lacking) - 1} more pictures" if len(lacking) > 1 else ""
        raise UserError(
            f"{tree.root}: no map of {lacking[0]}{more} of the list in {' or '.join(maps)}; nothing was written"
        )
    return Pictures(map_categories(photo_set.name), entries, shrinks=True, how=how)


def _map_of(tree: Tree, name: str, folders: Sequence[str]) -> Path | None:
    """The first map of a picture; VOC's own comes before that of SBD."""
    found = [f"{folder}/{Path(name).stem}.png" for folder in folders]
    return next((tree.path(path) for path in found if tree.has_file(path)), None)


def _of_coco(file: CocoFile, folder: Path, names: list[str], how: str) -> Pictures:
    wanted = set(names)
    images = [image for image in file.images if image.file_name in wanted]
    require_all(names, (image.file_name for image in images), file.path)
    categories = merge_animals(file.categories)
    index_of = {number: index for index, (number, _) in enumerate(categories)}
    place = [index_of[ANIMAL[0] if number in ANIMALS else number] for number, _ in file.categories]
    entries = []
    for entry in entries_of(dataclasses.replace(file, images=images), folder):
        boxes = tuple((place[category], box, False) for category, box, _ in entry.boxes)  # crowds are not told apart
        entries.append(dataclasses.replace(entry, boxes=boxes))
    entries.sort(key=lambda entry: entry.file_name)
    return Pictures(categories, entries, shrinks=True, how=how)


def merge_animals(categories: Sequence[tuple[int, str]]) -> list[tuple[int, str]]:
    """COCO's categories (id, name) with its ten animals as one, sorted by id."""
    merged = {ANIMAL if number in ANIMALS else (number, name) for number, name in categories}
    return sorted(merged)
