"""A sound COCO folder, built in the test, and small changes to its JSON."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

WIDTH, HEIGHT, IMAGES = 96, 72, 8
BOXES = ([10, 10, 40, 30], [55, 30, 35, 30])
Content = dict[str, Any]
Mutation = Callable[[Content], object]


def name_of(number: int) -> str:
    return f"img_{number:02d}.jpg"


def sound() -> Content:
    """Two objects in each of eight images, masks as polygons."""
    annotations = []
    for image in range(1, IMAGES + 1):
        for category, (x, y, w, h) in enumerate(BOXES, start=1):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": category,
                    "iscrowd": 0,
                    "area": w * h,
                    "bbox": [x, y, w, h],
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                }
            )
    images = [{"id": n, "file_name": name_of(n), "width": WIDTH, "height": HEIGHT} for n in range(1, IMAGES + 1)]
    return {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "cup"}, {"id": 2, "name": "box"}],
    }


def write_images(folder: Path, names: list[str] | None = None) -> None:
    """The pictures, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names or [name_of(n) for n in range(1, IMAGES + 1)], start=1):
        pixels = np.random.default_rng(number).integers(0, 255, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).resize((WIDTH, HEIGHT)).save(folder / name, quality=90)


def box_pixels(*boxes: list[int]) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    for x, y, w, h in boxes:
        mask[y : y + h, x : x + w] = 1
    return mask


BOTH = box_pixels(*BOXES)


def runs(mask: np.ndarray, order: str = "F") -> list[int]:
    flat = np.concatenate([[0], mask.ravel(order=order), [0]]).astype(int)
    return np.diff([0, *np.flatnonzero(np.diff(flat)).tolist(), mask.size]).tolist()


def text(mask: np.ndarray) -> str:
    return coco_mask.encode(np.asfortranarray(mask))["counts"].decode()


def first(**values: Any) -> Mutation:
    """Change the first annotation."""
    return lambda content: content["annotations"][0].update(values)


def each(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Mutation:
    """Change every annotation by what is computed from it."""

    def mutate(content: Content) -> None:
        for annotation in content["annotations"]:
            annotation.update(change(annotation))

    return mutate


def every_image(**values: Any) -> Mutation:
    def mutate(content: Content) -> None:
        for image in content["images"]:
            image.update(values)

    return mutate


def drop(kind: str, place: int, key: str) -> Mutation:
    return lambda content: content[kind][place].pop(key)


def rle(counts: Any, size: Any = (HEIGHT, WIDTH)) -> dict[str, Any]:
    return {"size": list(size) if isinstance(size, tuple) else size, "counts": counts}


def of_box(annotation: dict[str, Any]) -> np.ndarray:
    return box_pixels(BOXES[annotation["category_id"] - 1])


def xyxy(b: list[int]) -> list[float]:
    return [b[0], b[1], b[0] + b[2], b[1] + b[3]]


def ids_as(kind: Callable[[int], Any]) -> Mutation:
    def mutate(content: Content) -> None:
        for image in content["images"]:
            image["id"] = kind(image["id"])
        for annotation in content["annotations"]:
            annotation["image_id"] = kind(annotation["image_id"])

    return mutate


def with_cut_part(b: list[int], tail: list[float]) -> dict[str, Any]:
    """The left half as a polygon, the right half with a fault."""
    x, y, w, h = b
    m = x + w // 2
    right = [m, y, x + w, y, x + w, y + h, m, y + h]
    return {"segmentation": [[x, y, m, y, m, y + h, x, y + h], [*right, *tail]]}


def decomposed(name: str) -> str:
    return unicodedata.normalize("NFD", name)


def write_json(path: Path, content: Content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
