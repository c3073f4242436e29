"""One's own data in VOC layout as COCO instances, the form in which ``scenebench run`` takes one's own data."""

from __future__ import annotations

import json
from typing import Any

from PIL import Image

from benchmarks.datasets.preparing.outputs import Outputs
from benchmarks.datasets.readers.voc import read_voc
from benchmarks.datasets.samples import Box, Sample
from benchmarks.datasets.tree import Tree
from scenebench.errors import UserError


def write_instances(tree: Tree, outputs: Outputs) -> None:
    """``instances_<split>.json`` of every list in ``ImageSets/Main``; file names are relative to the data set's folder.

    Boxes are COCO's (left, top, width, height), 0-based. What VOC calls difficult becomes a crowd: neither found nor
    missed. There are no masks; a box without extent is left out. Sizes are those of the image files, which XML files do
    not always tell. Numbers of images and categories are equal in all splits.

    Raises:
        UserError: a fault of the lists or XML files, an image that is none, or a file in the way.
    """
    data = read_voc(tree)
    outputs.lines += data.notes
    samples = {sample.image: sample for split in data.splits.values() for sample in split}
    numbers = {image: number for number, image in enumerate(sorted(samples), start=1)}
    categories = [{"id": number, "name": name} for number, name in enumerate(data.classes, start=1)]
    for split, chosen in data.splits.items():
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        without = 0
        for sample in chosen:
            images.append(_image(tree, sample, numbers[sample.image]))
            boxes = [box for box in sample.boxes if min(_extent(box)) > data.smallest_box]
            without += len(sample.boxes) - len(boxes)
            for box in boxes:
                annotations.append({"id": len(annotations) + 1, "image_id": numbers[sample.image], **_instance(box)})
        content = {"images": images, "annotations": annotations, "categories": categories}
        left_out = f", without extent and left out: {without}" if without else ""
        said = f"{len(images)} images, {len(annotations)} objects{left_out}"
        outputs.write_text(f"instances_{split}.json", json.dumps(content) + "\n", said)


def _image(tree: Tree, sample: Sample, number: int) -> dict[str, Any]:
    try:
        with Image.open(sample.image) as image:
            width, height = image.size
    except OSError as error:
        raise UserError(f"{sample.image}: not a readable image ({error}); 'scenebench data check' lists all") from error
    return {"id": number, "file_name": tree.relative(sample.image), "width": width, "height": height}


def _extent(box: Box) -> tuple[float, float]:
    return box.right - box.left, box.bottom - box.top


def _instance(box: Box) -> dict[str, Any]:
    width, height = _extent(box)
    return {
        "category_id": box.label + 1,
        "bbox": [box.left, box.top, width, height],
        "area": width * height,
        "iscrowd": int(box.difficult),
    }
