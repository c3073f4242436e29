"""VOC's average precision by Detectron2's own matching and curve, class by class.

Detectron2's evaluator returns means alone, and takes a class of which the test images hold nothing for one that was
missed. Here the values by class are kept and such a class is undefined. Difficult objects are neither found nor missed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

THRESHOLDS = tuple(range(50, 100, 5))
"""IoU in percent; VOC's own metric is at 50, the rest is COCO's habit under VOC's rule."""


def voc_average_precision(
    predictions: Mapping[int, Sequence[str]],
    annotations: Mapping[str, Path],
    classes: Sequence[str],
    objects: Sequence[int],
    eleven_points: bool,
) -> dict[str, dict[int, float]]:
    """AP in percent by class and IoU threshold (percent); classes without objects are left out.

    Args:
        predictions: by class index, lines ``<stem> <score> <left> <top> <right> <bottom>`` with 1-based corners of the
            outermost pixels.
        annotations: the XML file by stem, of every test image.
        objects: number of objects by class that are not difficult.
        eleven_points: the rule of VOC 2007: the mean of the best precision at recall 0, 0.1, ..., 1. Else the area
            under the curve.
    """
    from detectron2.evaluation.pascal_voc_evaluation import voc_eval

    folders = {path.parent for path in annotations.values()}
    if len(folders) > 1:
        raise ValueError(f"test images of several years: {sorted(map(str, folders))}")
    result: dict[str, dict[int, float]] = {}
    with tempfile.TemporaryDirectory(prefix="voc_eval_") as name:
        folder = Path(name)
        (folder / "images.list").write_text("".join(f"{stem}\n" for stem in annotations), encoding="utf-8")
        for index, label in enumerate(classes):
            if objects[index] == 0:
                continue
            (folder / f"{label}.txt").write_text("\n".join(predictions.get(index, [])), encoding="utf-8")
            result[label] = {}
            for threshold in THRESHOLDS:
                _, _, precision = voc_eval(
                    str(folder / "{}.txt"),
                    str(next(iter(folders)) / "{}.xml"),
                    str(folder / "images.list"),
                    label,
                    threshold / 100.0,
                    eleven_points,
                )
                result[label][threshold] = 100.0 * float(precision)
    return result


def voc_metrics(
    by_class: Mapping[str, Mapping[int, float]], classes: Sequence[str]
) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    """box_AP (mean over the thresholds), box_AP50, box_AP75, and by class: of :func:`voc_average_precision`."""
    columns = {"box_AP": THRESHOLDS, "box_AP50": (50,), "box_AP75": (75,)}
    per_class: dict[str, dict[str, float | None]] = {
        name: {
            metric: float(np.mean([by_class[name][t] for t in thresholds])) if name in by_class else None
            for metric, thresholds in columns.items()
        }
        for name in classes
    }
    metrics: dict[str, float | None] = {}
    for metric in columns:
        values = [value for found in per_class.values() if (value := found[metric]) is not None]
        metrics[metric] = float(np.mean(values)) if values else None
    return metrics, per_class
