"""How long COCO's evaluation takes on as much as val2017 has: 5,000 images, 500,000 detections.

Ground truth and detections are made up with about COCO's statistics: 7.3 objects an image in few of the 80 categories,
four in ten small, a quarter large, one in a hundred a crowd; a hundred detections an image, some near an object, the
others anywhere. Detected masks are run lengths before the clock runs, as a model's are.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.coco_evaluation import CocoNumbers, evaluate_loaded, load, read_truth
from benchmarks.protocols.detection import EVALUATORS
from benchmarks.speed.stopwatch import Took, timed
from transfer.exporters.silenced_logs import quiet_pycocotools

OBJECTS, CATEGORIES, DETECTIONS = 7.27, 80, 100  # an image; val2017 has 36,335 objects that are no crowds
_SIDES = ((8.0, 32.0), (32.0, 96.0), (96.0, 330.0))  # of small, medium and large objects, pixels
_SHARES = (0.41, 0.34, 0.25)
_CORNERS = 14
Boxes = NDArray[np.float64]


def measure_coco(images: int, task: str, say: Callable[[str], object]) -> dict[str, Any]:
    """Seconds of each evaluator by stage, and how far their numbers lie apart.

    Args:
        task: ``bbox`` or ``segm``.
    """
    say(f"making {images} images with {DETECTIONS} detections each")
    content, detections = made_up(images, with_masks=task == "segm")
    numbers: dict[str, CocoNumbers] = {}
    result: dict[str, Any] = {"images": images, "detections": len(detections), "objects": len(content["annotations"])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "truth.json"
        path.write_text(json.dumps(content), encoding="utf-8")
        del content
        for name in reversed(EVALUATORS):  # the fast one first: its number comes soon
            say(f"{task} by {name}")
            numbers[name], stages = _evaluate(path, detections, task, name)
            total = sum(stages.values(), Took(0.0, 0.0))
            result[name] = total.plain() | {"stages": {stage: took.plain() for stage, took in stages.items()}}
    plain, fast = (numbers[name].stats for name in EVALUATORS)
    return result | {"AP": round(100 * float(plain[0]), 4), "apart": float(np.abs(plain - fast).max())}


def _evaluate(
    path: Path, detections: list[dict[str, Any]], task: str, evaluator: str
) -> tuple[CocoNumbers, dict[str, Took]]:
    with quiet_pycocotools():
        truth, reading = timed(lambda: read_truth(path, evaluator))
        found, loading = timed(lambda: load(truth, detections, task, evaluator))
        numbers, matching = timed(lambda: evaluate_loaded(truth, found, task, evaluator))
    return numbers, {"reading the truth": reading, "loading the detections": loading, "matching": matching}


def made_up(images: int, with_masks: bool, seed: int = 0) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO's ground truth and detections in COCO's result format."""
    rng = np.random.default_rng(seed)
    frequency = 1.0 / np.arange(1, CATEGORIES + 1)  # the first category is in half of the images, as persons are
    frequency /= frequency.sum()
    truth: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    listed = []
    for image in range(1, images + 1):
        width, height = (640, 480) if rng.random() < 0.75 else (480, 640)
        listed.append({"id": image, "width": width, "height": height, "file_name": f"{image:012d}.jpg"})
        present = rng.choice(CATEGORIES, int(rng.integers(1, 6)), p=frequency)
        labels = rng.choice(present, min(int(rng.geometric(1 / (1 + OBJECTS))) - 1, 60))
        boxes = _boxes(rng, len(labels), width, height)
        for label, box in zip(labels.tolist(), boxes, strict=True):
            truth.append(_object(rng, len(truth) + 1, image, label, box, (width, height)))
        detections += _detections(rng, image, labels, boxes, present, (width, height), with_masks)
    categories = [{"id": number + 1, "name": f"category {number + 1}"} for number in range(CATEGORIES)]
    return {"info": {}, "images": listed, "annotations": truth, "categories": categories}, detections


def _boxes(rng: np.random.Generator, count: int, width: int, height: int) -> Boxes:
    """x, y, width, height: ``count`` x 4."""
    limits = np.array(_SIDES)[rng.choice(3, count, p=_SHARES)]
    side = np.exp(rng.uniform(np.log(limits[:, 0]), np.log(limits[:, 1])))
    stretch = np.exp(rng.normal(0.0, 0.3, count))
    sizes = np.stack([np.minimum(side * stretch, width - 2), np.minimum(side / stretch, height - 2)], axis=1)
    corners = rng.random((count, 2)) * (np.array([width, height]) - sizes)
    return np.concatenate([corners, sizes], axis=1)


def _object(
    rng: np.random.Generator, number: int, image: int, label: int, box: Boxes, size: tuple[int, int]
) -> dict[str, Any]:
    crowd = bool(rng.random() < 0.01)
    segmentation: Any = [_outline(box, rng)]
    if crowd:
        left, right = int(box[0]) * size[1], max(1, int(box[2])) * size[1]
        segmentation = {"size": [size[1], size[0]], "counts": [left, right, size[0] * size[1] - left - right]}
    return {
        "id": number,
        "image_id": image,
        "category_id": label + 1,
        "bbox": box.round(2).tolist(),
        "area": float(0.75 * box[2] * box[3]),
        "iscrowd": int(crowd),
        "segmentation": segmentation,
    }


def _detections(
    rng: np.random.Generator,
    image: int,
    labels: NDArray[np.int64],
    boxes: Boxes,
    present: NDArray[np.int64],
    size: tuple[int, int],
    with_masks: bool,
) -> list[dict[str, Any]]:
    near = np.repeat(np.arange(len(labels)), 3)[: DETECTIONS // 2]
    moved = boxes[near] * np.exp(rng.normal(0.0, 0.06, (len(near), 4)))
    stray = DETECTIONS - len(near)
    found = np.concatenate([moved, _boxes(rng, stray, *size)])
    found[:, :2] = np.minimum(found[:, :2], np.array(size) - 4)
    found[:, 2:] = np.minimum(found[:, 2:], np.array(size) - found[:, :2])
    own = rng.random(stray) < 0.6
    classes = np.concatenate(
        [labels[near], np.where(own, rng.choice(present, stray), rng.integers(CATEGORIES, size=stray))]
    )
    scores = np.concatenate([rng.beta(3, 2, len(near)), rng.beta(1, 6, stray)])
    entries: list[dict[str, Any]] = [
        {"image_id": image, "category_id": label + 1, "bbox": box, "score": score}
        for label, box, score in zip(classes.tolist(), found.tolist(), scores.tolist(), strict=True)
    ]
    if with_masks:
        from pycocotools import mask

        outlines = [_outline(box, rng) for box in found]
        for entry, runs in zip(entries, mask.frPyObjects(outlines, size[1], size[0]), strict=True):
            entry["segmentation"] = runs
    return entries


def _outline(box: Boxes, rng: np.random.Generator) -> list[float]:
    """A bumpy ellipse in the box: x, y, x, y, ..."""
    angles = np.arange(_CORNERS) * (2 * np.pi / _CORNERS)
    radius = rng.uniform(0.38, 0.5, _CORNERS)
    x = box[0] + box[2] * (0.5 + radius * np.cos(angles))
    y = box[1] + box[3] * (0.5 + radius * np.sin(angles))
    points: list[float] = np.stack([x, y], axis=1).ravel().round(2).tolist()
    return points
