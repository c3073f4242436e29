"""Semantic segmentation scored at the size of the truth: scores upsampled, the best class taken, IoU by class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from benchmarks.datasets.folder import IGNORED


def predicted_map(scores: Tensor, height: int, width: int) -> NDArray[np.int64]:
    """The best class of each pixel, H x W, of scores on a grid (classes x h x w), upsampled bilinearly.

    Values belong to the centres of cells (``align_corners`` false). Of equal scores the lower class comes first.
    """
    full = functional.interpolate(scores[None].float(), size=(height, width), mode="bilinear", align_corners=False)
    best: NDArray[np.int64] = full[0].argmax(dim=0).numpy()
    return best


def confusion(truth: NDArray[np.uint8], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Pixels by true class (rows) and predicted class (columns); what is labelled 255 counts nowhere."""
    counted = truth != IGNORED
    places = truth[counted].astype(np.int64) * classes + predicted[counted]
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def segmentation_metrics(
    matrix: NDArray[np.int64], names: list[str]
) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    """``dense_mIoU``, ``dense_mAcc`` and ``dense_aAcc`` in percent, and IoU and accuracy by class.

    As MMSegmentation has it: a class that is neither there nor predicted has no IoU, one that is not there has no
    accuracy, and means are over the classes that have a value.
    """
    right = np.diag(matrix).astype(np.float64)
    there, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    union = there + predicted - right
    per_class: dict[str, dict[str, float | None]] = {}
    for place, name in enumerate(names):
        per_class[name] = {
            "IoU": 100.0 * right[place] / union[place] if union[place] else None,
            "accuracy": 100.0 * right[place] / there[place] if there[place] else None,
        }
    total = int(matrix.sum())
    metrics = {
        "dense_mIoU": _mean([values["IoU"] for values in per_class.values()]),
        "dense_mAcc": _mean([values["accuracy"] for values in per_class.values()]),
        "dense_aAcc": 100.0 * float(right.sum()) / total if total else None,
    }
    return metrics, per_class


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
