"""A prepared data set as Detectron2 sees it: COCO JSONs of exactly the images that take part."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.inputs import MERGED_CATEGORY, choose_images, require_decodable
from benchmarks.official import OfficialFolder
from scenebench.errors import UserError
from scenebench.files import write_text


@dataclass(frozen=True)
class Split:
    """One split under the name that Detectron2 knows it by.

    Attributes:
        json_file: COCO instances of the chosen images, annotation ids from 1.
        objects: ground-truth objects by category index (without COCO's crowds and VOC's difficult ones, which the
            evaluations ignore).
        without_mask: objects that have a box and no mask.
    """

    name: str
    json_file: Path
    image_root: Path
    images: int
    objects: list[int]
    without_mask: int


@contextmanager
def registered(
    data: DatasetFolder, split: str, limit: int | None, folder: Path, merge: bool = False
) -> Iterator[Split]:
    """Write the chosen images' annotations under ``folder`` and register them for the duration of the block.

    Detectron2 refuses to register one name twice, and COCO's evaluation judges every image of the JSON it is given. So:
    a name that never comes again, and a JSON that holds what is judged and nothing else. With ``merge`` all categories
    become one.

    Raises:
        UserError: an image cannot be decoded, or the annotations do not cover the images.
    """
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets import register_coco_instances

    _, paths = choose_images(data, split, limit)
    if not isinstance(data, OfficialFolder):  # 'data check' has decoded an official layout, and remembers
        require_decodable(paths, split)
    content, image_root = data.instances(split)
    names = {path.relative_to(image_root).as_posix() for path in paths}
    content = _select(content, names, f"{data.root}: split '{split}'")
    if merge:
        content["categories"] = [{"id": 1, "name": MERGED_CATEGORY}]
        for annotation in content["annotations"]:
            annotation["category_id"] = 1
    name = f"{data.name}_{split}_{uuid.uuid4().hex}"
    json_file = folder / f"instances_{split}.json"
    write_text(json_file, json.dumps(content))
    category_index = {category["id"]: index for index, category in enumerate(content["categories"])}
    objects = [0] * len(category_index)
    for annotation in content["annotations"]:
        if not annotation["iscrowd"] and not annotation["difficult"]:
            objects[category_index[annotation["category_id"]]] += 1
    without_mask = sum(not annotation.get("segmentation") for annotation in content["annotations"])
    register_coco_instances(name, {}, str(json_file), str(image_root))
    try:
        yield Split(name, json_file, image_root, len(paths), objects, without_mask)
    finally:
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def _select(content: dict[str, Any], names: set[str], source: str) -> dict[str, Any]:
    """The COCO content of the images called ``names``.

    Annotations are numbered anew from 1: pycocotools takes a match with the ground truth of id 0 for no match.
    """
    images = [image for image in content["images"] if image["file_name"] in names]
    if len(images) != len(names):
        raise UserError(f"{source}: lists {len(images)} of {len(names)} images; prepare the data set again")
    kept = {image["id"] for image in images}
    annotations: list[dict[str, Any]] = []
    for annotation in content["annotations"]:
        if annotation["image_id"] not in kept:
            continue
        _, _, width, height = annotation["bbox"]
        entry = {
            "id": len(annotations) + 1,
            "image_id": annotation["image_id"],
            "category_id": annotation["category_id"],
            "bbox": annotation["bbox"],
            "area": annotation.get("area", width * height),
            "iscrowd": annotation.get("iscrowd", 0),
            "difficult": annotation.get("difficult", 0),
        }
        if annotation.get("segmentation"):
            entry["segmentation"] = annotation["segmentation"]
        annotations.append(entry)
    categories = sorted(content["categories"], key=lambda category: category["id"])
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}
