"""Mean average precision of multi-label scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

Labels = NDArray[np.uint8]
Scores = NDArray[np.float64]


def mean_average_precision(labels: Labels, scores: Scores) -> tuple[float | None, list[float | None]]:
    """Mean over categories of the non-interpolated average precision, in percent.

    AP is the sum over thresholds of (R_n - R_{n-1}) P_n; equal scores share one threshold. A category without a
    positive has no AP and does not enter the mean.

    Args:
        labels: 0/1, images x categories.
        scores: finite, images x categories; higher means more likely.

    Returns:
        The mean (None where no category has a positive) and AP by category (None where undefined).
    """
    per_category: list[float | None] = [
        100.0 * float(average_precision_score(labels[:, c], scores[:, c])) if labels[:, c].any() else None
        for c in range(labels.shape[1])
    ]
    defined = [value for value in per_category if value is not None]
    return (float(np.mean(defined)) if defined else None), per_category
