"""From MMSegmentation's areas to the record's metrics."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def percent(value: float) -> float | None:
    """A fraction in percent; NaN is undefined, None."""
    return None if math.isnan(value) else 100.0 * float(value)


def mean_percent(values: NDArray[np.floating]) -> float | None:
    """Mean in percent over the classes where the value is defined; None where it is nowhere."""
    defined = values[~np.isnan(values)]
    return 100.0 * float(defined.astype(np.float64).mean()) if defined.size else None


def segmentation_metrics(
    all_accuracy: float, iou: NDArray[np.floating], accuracy: NDArray[np.floating], classes: Sequence[str]
) -> tuple[dict[str, float | None], dict[str, dict[str, float | None]]]:
    """mIoU, mAcc, aAcc, and IoU and accuracy by class, from MMSegmentation's fractions by class.

    The background is a class like the others and counts in the means, as in PASCAL VOC. A class that neither occurs in
    the test images nor is predicted has no IoU and leaves the mean; pixels labelled 255 count nowhere.
    """
    metrics = {"mIoU": mean_percent(iou), "mAcc": mean_percent(accuracy), "aAcc": percent(all_accuracy)}
    per_class: dict[str, dict[str, float | None]] = {
        name: {"IoU": percent(float(iou[index])), "Acc": percent(float(accuracy[index]))}
        for index, name in enumerate(classes)
    }
    return metrics, per_class
