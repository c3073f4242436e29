"""A prepared data set whose categories are known by their colour, and, if so wished, by the shape of their boxes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.datasets.folder import DatasetFolder, fingerprint_of

SIZE = 64
COLOURS = [(250, 20, 20), (20, 250, 20), (20, 20, 250)]
CATEGORIES = ["red", "green", "blue"]
GROUND = (124, 116, 104)
"""The mean colour of the default preprocessing."""


def write_shapes(
    root: Path, counts: dict[str, int] | None = None, shape_tells: bool = False, seed: int = 0
) -> DatasetFolder:
    """Two objects an image that do not overlap, one left, one right, on cells of 16 pixels; exact maps, PNG-like
    colours (JPEG at quality 100)."""
    counts = counts or {"train": 60, "val": 12, "test": 60}
    rng = np.random.default_rng(seed)
    for split, count in counts.items():
        for kind in ("images", "semantic"):
            (root / kind / split).mkdir(parents=True)
        images, annotations = [], []
        for number in range(count):
            pixels = np.zeros((SIZE, SIZE, 3), np.uint8) + np.array(GROUND, np.uint8)
            labels = np.zeros((SIZE, SIZE), np.uint8)
            for left in (0, 32):
                category = int(rng.integers(3))
                width, height = [(16, 48), (32, 32), (32, 16)][category if shape_tells else int(rng.integers(3))]
                top = 16 * int(rng.integers(0, (SIZE - height) // 16 + 1))
                pixels[top : top + height, left : left + width] = COLOURS[category]
                labels[top : top + height, left : left + width] = 1 + category
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": number + 1,
                        "category_id": category + 1,
                        "bbox": [left, top, width, height],
                        "area": width * height,
                        "iscrowd": 0,
                    }
                )
            name = f"shapes_{number:03d}"
            Image.fromarray(pixels).save(root / "images" / split / f"{name}.jpg", quality=100, subsampling=0)
            Image.fromarray(labels).save(root / "semantic" / split / f"{name}.png")
            images.append({"id": number + 1, "file_name": f"{name}.jpg", "width": SIZE, "height": SIZE})
        categories = [{"id": place + 1, "name": name} for place, name in enumerate(CATEGORIES)]
        (root / "annotations").mkdir(exist_ok=True)
        write_instances(root, split, {"images": images, "annotations": annotations, "categories": categories})
    description = {
        "format_version": 1,
        "name": "shapes",
        "version": "1",
        "fingerprint": fingerprint_of(root),
        "source": {},
        "categories": CATEGORIES,
        "splits": counts,
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return DatasetFolder.open(root)


def write_instances(root: Path, split: str, content: dict[str, object]) -> None:
    """The split's annotations."""
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
