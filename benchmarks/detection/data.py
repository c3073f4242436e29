"""A prepared data set as the detection toolboxes see it: COCO JSONs of exactly the images that take part."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets.folder import DatasetFolder
from benchmarks.evaluation.inputs import MERGED_CATEGORY, choose_images, require_decodable
from benchmarks.evaluation.official import OfficialFolder
from scenebench.coco.values import is_crowd
from scenebench.errors import UserError
from scenebench.files import write_text


@dataclass(frozen=True)
class Split:
    """One split, written for one run.

    Attributes:
        name: never used twice; Detectron2 knows the split by it.
        json_file: COCO instances of the chosen images, annotation ids from 1.
        objects: ground-truth objects by category index (without COCO's crowds and VOC's difficult ones, which the
            evaluations ignore).
        without_mask: objects that have a box and no mask.
        run_lengths: objects whose mask is run lengths (crowds, which are not trained on, do not count).
    """

    name: str
    json_file: Path
    image_root: Path
    images: int
    objects: list[int]
    without_mask: int
    run_lengths: int = 0


def write_split(data: DatasetFolder, split: str, limit: int | None, folder: Path, merge: bool = False) -> Split:
    """Write the chosen images' annotations as ``folder/instances_<split>.json``.

    COCO's evaluation takes every image of the JSON it is given, so it holds what is evaluated and nothing else. With
    ``merge`` all categories become one.

    Raises:
        UserError: an image cannot be decoded, or the annotations do not cover the images.
    """
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
    json_file = folder / f"instances_{split}.json"
    write_text(json_file, json.dumps(content))
    category_index = {category["id"]: index for index, category in enumerate(content["categories"])}
    objects = [0] * len(category_index)
    for annotation in content["annotations"]:
        if not annotation["iscrowd"] and not annotation["difficult"]:
            objects[category_index[annotation["category_id"]]] += 1
    without_mask = sum(not annotation.get("segmentation") for annotation in content["annotations"])
    name = f"{data.name}_{split}_{uuid.uuid4().hex}"
    run_lengths = sum(
        isinstance(annotation.get("segmentation"), dict) and not annotation["iscrowd"]
        for annotation in content["annotations"]
    )
    return Split(name, json_file, image_root, len(paths), objects, without_mask, run_lengths)


@contextmanager
def registered(
    data: DatasetFolder, split: str, limit: int | None, folder: Path, merge: bool = False
) -> Iterator[Split]:
    """:func:`write_split`, and known to Detectron2 (which refuses to register one name twice) inside the block."""
    from detectron2.data import DatasetCatalog, MetadataCatalog
    from detectron2.data.datasets import register_coco_instances

    written = write_split(data, split, limit, folder, merge)
    register_coco_instances(written.name, {}, str(written.json_file), str(written.image_root))
    try:
        yield written
    finally:
        DatasetCatalog.remove(written.name)
        MetadataCatalog.remove(written.name)


def require_objects(split: Split, where: str) -> None:
    """Raise UserError where ``split`` (named ``where``) holds no object."""
    if sum(split.objects) == 0:
        raise UserError(f"{where} holds no object to train a detector on")


def require_mask_format(split: Split, mask_format: str) -> None:
    """Raise UserError where polygons are wanted of a split that has run lengths; a toolbox would fail in training."""
    if mask_format == "polygon" and split.run_lengths:
        raise UserError(
            f"settings.mask_format: 'polygon' trains on polygons, and {split.run_lengths} masks of {split.json_file} "
            "are run lengths; take settings.mask_format=bitmask"
        )


def have_masks(*splits: Split) -> bool:
    """Whether every object of every split has a mask; without, only boxes are trained and evaluated."""
    return all(split.without_mask == 0 for split in splits)


def mask_notes(*splits: Split) -> list[str]:
    """A sentence for the record where masks are missing."""
    missing = sum(split.without_mask for split in splits)
    return [f"{missing} objects have no mask: boxes only"] if missing else []


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
            "iscrowd": int(is_crowd(annotation.get("iscrowd"))),
            "difficult": annotation.get("difficult", 0),
        }
        if annotation.get("segmentation"):
            entry["segmentation"] = annotation["segmentation"]
        annotations.append(entry)
    categories = sorted(content["categories"], key=lambda category: category["id"])
    return {"info": {}, "images": images, "annotations": annotations, "categories": categories}
