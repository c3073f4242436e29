"""Writing the parts of a prepared data set (``folder`` says the layout)."""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco_mask

from benchmarks.datasets.folder import DESCRIPTION, DatasetFolder, fingerprint_of

JPEG_QUALITY = 95


@dataclass(frozen=True)
class Instance:
    """One annotated object.

    Attributes:
        category: index into the data set's categories.
        bbox: x, y, width, height in pixels.
        rle: COCO's compressed run-length encoding, ``{"size": [h, w], "counts": text}``; None: a box alone.
        crowd: the mask covers a group that nobody counted.
    """

    category: int
    bbox: tuple[float, float, float, float]
    area: float
    rle: dict[str, Any] | None
    crowd: bool = False


@dataclass(frozen=True)
class PreparedImage:
    """An image as it lies in the prepared folder. ``source_name`` is its name in the user's JSON, else empty."""

    file_name: str
    width: int
    height: int
    instances: list[Instance]
    scene_type: int | None = None
    source_name: str = ""


def instances_of(label_map: NDArray[np.uint8], categories: Sequence[int]) -> list[Instance]:
    """Instances of an instance map (0 background, 1 + i object i), boxes and areas exactly those of the masks."""
    if not categories:
        return []
    numbers = np.arange(1, len(categories) + 1, dtype=np.uint8)
    by_column = np.ascontiguousarray(label_map.T) == numbers[:, None, None]
    encoded = coco_mask.encode(by_column.view(np.uint8).transpose(2, 1, 0))  # H x W x N, Fortran order
    areas, boxes = coco_mask.area(encoded).tolist(), coco_mask.toBbox(encoded).tolist()
    return [
        Instance(category, (box[0], box[1], box[2], box[3]), float(area), as_text(rle))
        for category, area, box, rle in zip(categories, areas, boxes, encoded, strict=True)
    ]


def as_text(rle: dict[str, Any]) -> dict[str, Any]:
    """pycocotools' RLE with its counts as text, as JSON wants them."""
    height, width = rle["size"]
    return {"size": [int(height), int(width)], "counts": rle["counts"].decode("ascii")}


def semantic_map(image: PreparedImage, ignored: int) -> NDArray[np.uint8]:
    """Paint an image's instances into a semantic map, 1 + category index; uint8 height x width.

    Larger masks first, so that what lies on or in another object stays visible; by their pixels, for an ``area`` comes
    from the user's file. Crowds are ``ignored`` wherever no instance lies.
    """
    labels = np.zeros((image.height, image.width), dtype=np.uint8)
    masked = [instance for instance in image.instances if instance.rle is not None]
    for instance in sorted(masked, key=lambda i: (not i.crowd, -int(coco_mask.area(i.rle)))):
        mask = coco_mask.decode(instance.rle).astype(bool)
        labels[mask] = ignored if instance.crowd else 1 + instance.category
    return labels


def write_jpeg(path: Path, pixels: NDArray[np.uint8]) -> None:
    """uint8 H x W x 3 RGB."""
    Image.fromarray(pixels).save(path, format="JPEG", quality=JPEG_QUALITY)


def write_semantic(path: Path, labels: NDArray[np.uint8]) -> None:
    """A palette PNG: the values are the labels, and any viewer shows VOC's colours."""
    image = Image.fromarray(labels)
    image.putpalette(voc_palette())
    image.save(path, format="PNG", compress_level=1)


@cache
def voc_palette() -> bytes:
    """The 256 colours of the PASCAL VOC development kit: bits of the label spread over the high bits of R, G, B."""
    colours = np.zeros((256, 3), dtype=np.uint8)
    for label in range(256):
        for channel in range(3):
            bits = [(label >> (3 * place + channel)) & 1 for place in range(3)]
            colours[label, channel] = sum(bit << (7 - place) for place, bit in enumerate(bits))
    return colours.tobytes()


def make_split_folders(root: Path, split: str) -> None:
    """The folders that hold one file an image."""
    for kind in ("images", "semantic"):
        (root / kind / split).mkdir(parents=True)


def write_split(root: Path, split: str, categories: Sequence[tuple[int, str]], images: Sequence[PreparedImage]) -> None:
    """Write a split's annotations, multi-label list and, where known, scene types.

    Args:
        categories: (COCO id, name), sorted by id.
        images: sorted by file name. Ids are given here: images and annotations count from 1 (COCO's evaluation takes
            an annotation 0 for no match).
    """
    _write_annotations(root / "annotations" / f"instances_{split}.json", categories, images)
    write_multilabel(root, split, [(image.file_name, _present(image)) for image in images])
    if all(image.scene_type is not None for image in images):
        rows = [(image.file_name, str(image.scene_type)) for image in images]
        _write_rows(root / "scene_types" / f"{split}.csv", ("file_name", "scene_type"), rows)


def write_multilabel(root: Path, split: str, rows: Sequence[tuple[str, Sequence[int]]]) -> None:
    """Write a split's multi-label list: of each image its file name and the indices of its categories."""
    texts = [(name, " ".join(map(str, categories))) for name, categories in rows]
    _write_rows(root / "multilabel" / f"{split}.csv", ("file_name", "labels"), texts)


def _present(image: PreparedImage) -> list[int]:
    return sorted({instance.category for instance in image.instances})


def _write_annotations(path: Path, categories: Sequence[tuple[int, str]], images: Sequence[PreparedImage]) -> None:
    entries: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        entry = {"id": number, "file_name": image.file_name, "width": image.width, "height": image.height}
        entries.append(entry | ({"source_name": image.source_name} if image.source_name else {}))
        for instance in image.instances:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": categories[instance.category][0],
                    "iscrowd": int(instance.crowd),
                    "area": _plain(instance.area),
                    "bbox": [_plain(value) for value in instance.bbox],
                    **({} if instance.rle is None else {"segmentation": instance.rle}),
                }
            )
    content = {
        "images": entries,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in categories],
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def _plain(value: float) -> float | int:
    return int(value) if value == int(value) else round(value, 3)


def _write_rows(path: Path, header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_description(root: Path, folder: DatasetFolder) -> DatasetFolder:
    """Fingerprint what was written under ``root`` and write ``dataset.json``; returns it with the fingerprint."""
    described = dataclasses.replace(folder, fingerprint=fingerprint_of(root))
    text = json.dumps(described.description, indent=1, ensure_ascii=False)
    (root / DESCRIPTION).write_text(text + "\n", encoding="utf-8")
    return described
