"""Truth beside prediction for a few test images, whatever toolbox predicted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.data import Split
from benchmarks.evaluation.inputs import read_image
from benchmarks.evaluation.picture_sheet import (
    Instance,
    Panel,
    draw_instances,
    save_sheet,
)

SHOWN_IMAGES = 8


def shown_images(test: Split) -> set[int]:
    """Ids of the images to be drawn, evenly spaced over the split."""
    ids = sorted(image["id"] for image in json.loads(test.json_file.read_text(encoding="utf-8"))["images"])
    return {ids[i] for i in np.linspace(0, len(ids) - 1, min(SHOWN_IMAGES, len(ids))).round().astype(int)}


def draw_predictions(
    path: Path, test: Split, names: Sequence[str], predictions: Mapping[int, Sequence[Instance]]
) -> None:
    """Write the sheet ``path``.

    Args:
        names: of the categories, by index (their ids in ascending order).
        predictions: by image id; the surest are drawn, as many as there are objects.
    """
    content = json.loads(test.json_file.read_text(encoding="utf-8"))
    index = {category["id"]: position for position, category in enumerate(content["categories"])}
    pairs = []
    for entry in content["images"]:
        if entry["id"] not in predictions:
            continue
        image = read_image(test.image_root / entry["file_name"])
        real = [
            _truth(annotation, index, entry["height"], entry["width"])
            for annotation in content["annotations"]
            if annotation["image_id"] == entry["id"] and not annotation["iscrowd"]
        ]
        # As many as there are objects: a score has no scale that all models share.
        found = sorted(predictions[entry["id"]], key=lambda instance: -(instance.score or 0.0))[: max(len(real), 1)]
        pairs.append(
            (
                Panel("truth", draw_instances(image, real, names)),
                Panel(f"predicted, the {len(found)} surest", draw_instances(image, found, names)),
            )
        )
    save_sheet(path, pairs)


def _truth(annotation: Mapping[str, Any], index: Mapping[int, int], height: int, width: int) -> Instance:
    x, y, w, h = annotation["bbox"]
    segmentation = annotation.get("segmentation")
    mask = None if not segmentation else _mask(segmentation, height, width)
    return Instance(index[annotation["category_id"]], (x, y, x + w, y + h), mask)


def _mask(segmentation: Any, height: int, width: int) -> NDArray[np.bool_]:
    from pycocotools import mask

    if isinstance(segmentation, list):
        segmentation = mask.merge(mask.frPyObjects(segmentation, height, width))
    elif isinstance(segmentation["counts"], list):
        segmentation = mask.frPyObjects(segmentation, height, width)
    decoded: NDArray[np.bool_] = mask.decode(segmentation).astype(bool)
    return decoded
