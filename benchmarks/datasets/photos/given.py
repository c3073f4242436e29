"""Small sets out of a folder of pictures that are small already.

::

    ROOT/coco/images/<12 digits>.jpg, instances_train.json, instances_test.json
    ROOT/ade20k_val/images/<name>.jpg, maps/<name>.png
    ROOT/voc2012_seg/images/<name>.jpg, maps/<name>.png
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.datasets.photos.entries import Entry, Pictures, map_categories, require_all
from benchmarks.datasets.photos.sets import SETS, PhotoSet
from benchmarks.datasets.tree import Tree
from scenebench.coco.document import CocoFile, read_coco_file
from scenebench.coco.objects import read_box_of
from scenebench.errors import UserError

HOW = "small pictures as they were given, byte for byte"
_JSONS = ("instances_train.json", "instances_test.json")


def is_given(root: Path | str) -> bool:
    """Whether ``root`` is such a folder: it has the folders of all three sets, and COCO's annotations."""
    root = Path(root)
    return (
        all((root / one.given / "images").is_dir() for one in SETS.values())
        and (root / SETS["coco_small"].given / _JSONS[0]).is_file()
    )


def read_given(photo_set: PhotoSet, root: Path | str, names: list[str]) -> Pictures:
    """The pictures ``names`` of one set.

    Raises:
        UserError: no such folder, an annotation file that cannot be read, or a picture or map that is not there.
    """
    tree = Tree(Path(root) / photo_set.given)
    require_all(names, tree.files("images"), tree.path("images"))
    if photo_set.has_boxes:
        return _with_boxes(tree, names)
    require_all([_map_of(name) for name in names], tree.files("maps"), tree.path("maps"))
    entries = [Entry(name, tree.path(f"images/{name}"), tree.path(f"maps/{_map_of(name)}")) for name in names]
    return Pictures(map_categories(photo_set.name), entries, shrinks=False, how=HOW)


def _map_of(name: str) -> str:
    return f"{Path(name).stem}.png"


def _with_boxes(tree: Tree, names: list[str]) -> Pictures:
    files = [read_coco_file(tree.require_file(name)) for name in _JSONS]
    if files[0].categories != files[1].categories:
        raise UserError(f"{files[1].path}: its categories are not those of {_JSONS[0]}")
    by_name: dict[str, Entry] = {}
    for file in files:
        for entry in entries_of(file, tree.path("images")):
            if entry.file_name in by_name:
                raise UserError(f"{file.path}: {entry.file_name} is given twice")
            by_name[entry.file_name] = entry
    require_all(names, by_name, f"{tree.root}/{_JSONS[0]} and {_JSONS[1]}")
    return Pictures(files[0].categories, [by_name[name] for name in names], shrinks=False, how=HOW)


def entries_of(file: CocoFile, folder: Path) -> list[Entry]:
    """The pictures of a COCO JSON with their boxes; ``folder`` is that of the pictures.

    Raises:
        UserError: a picture without a size, or an object without a box.
    """
    entries = []
    for image in file.images:
        if image.width is None or image.height is None:
            raise UserError(f"{file.path}: image '{image.file_name}' lacks 'width' and 'height'")
        found = []
        for annotation in file.annotations[image.id]:
            box = read_box_of(annotation, image.file_name)
            if box is None:
                raise UserError(f"{file.path}: {annotation.name} of image '{image.file_name}' has no 'bbox'")
            found.append((annotation.category, box, annotation.crowd))
        size = (image.width, image.height)
        entries.append(Entry(image.file_name, folder / image.file_name, boxes=tuple(found), size=size))
    return entries
