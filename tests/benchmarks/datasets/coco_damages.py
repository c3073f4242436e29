"""The kinds of damage that only COCO's JSON can have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from miniature_files import write_image
from miniatures import build_coco2017

Damage = Callable[[Path], object]


def change_coco(root: Path, **values: object) -> None:
    """Change the first annotation of image 2."""
    path = root / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    annotation = next(entry for entry in content["annotations"] if entry["id"] == 2000)
    annotation.update(values)
    path.write_text(json.dumps(content))


COCO_DAMAGES: dict[str, tuple[str, Callable[..., Path], Damage, str, str]] = {
    "COCO box without area": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, bbox=[2, 3, 6.5, 0]),
        "box",
        "annotation 2000: has no area",
    ),
    "COCO box outside": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, bbox=[2, 3, 40, 5]),
        "box",
        "annotation 2000: reaches 18 pixels",
    ),
    "COCO box of three numbers": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, bbox=[2, 3, 40]),
        "box",
        "not four numbers",
    ),
    "COCO box that contradicts its mask": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, bbox=[2, 3, 20, 15]),
        "box",
        "annotation 2000: bbox contradicts the box of its mask",
    ),
    "COCO iscrowd of another kind": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, iscrowd="no"),
        "list",
        "annotation 2000: 'iscrowd' is \"no\", neither 0 nor 1",
    ),
    "COCO run lengths that are too short": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, segmentation={"size": [20, 24], "counts": "11"}),
        "mask",
        "the mask's run lengths do not add up to the image's 24 x 20 pixels",
    ),
    "COCO polygon of seven numbers": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, segmentation=[[2, 3, 8, 3, 8, 11, 2]]),
        "mask",
        "annotation 2000: a polygon has an odd number of coordinates",
    ),
    "COCO unknown category": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, category_id=2),
        "label",
        "annotation 2000 has category 2",
    ),
    "COCO unknown image": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, image_id=77),
        "missing",
        "annotation 2000 belongs to image 77",
    ),
    "COCO id twice": ("coco2017", build_coco2017, lambda root: change_coco(root, id=3000), "list", "given twice"),
    "COCO id of another type": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, image_id=[1]),
        "list",
        "annotation 2000: 'image_id' is [1], not a whole number or text",
    ),
    "COCO polygon of two points": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, segmentation=[[1, 2, 3, 4]]),
        "mask",
        "at least three points",
    ),
    "COCO run lengths of another size": (
        "coco2017",
        build_coco2017,
        lambda root: change_coco(root, segmentation={"size": [24, 20], "counts": [480]}),
        "mask",
        "the mask's size is [24, 20], the image's [height, width] is [20, 24]; its sides are swapped",
    ),
    "COCO image not listed": (
        "coco2017",
        build_coco2017,
        lambda root: write_image(root / "train2017/000000009999.jpg", seed=5),
        "unlisted",
        "is in no instances_train2017.json",
    ),
}
