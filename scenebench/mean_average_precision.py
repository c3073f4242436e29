"""Mean average precision of multi-label scores, by the three rules in use, with VOC's rule for difficult objects.

VOC: an image in which all objects of a class are marked difficult is neither right nor wrong for that class; it is left
out. Images with equal scores: ``sum`` gives them one threshold, as scikit-learn does; ``area`` and ``eleven_point``
keep the images' order among them, as the papers' scripts do, whose sort is not stable and thus undefined there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from scenebench.errors import require_choice

Floats = NDArray[np.float64]
POSITIVE, NEGATIVE, DIFFICULT = 1, 0, -1
"""What a label says of an image and a class: an object of it, none, or only objects marked difficult."""


def mean_average_precision(
    labels: NDArray[np.integer], scores: Floats, rule: str = "sum"
) -> tuple[float | None, list[float | None]]:
    """Mean over classes of the average precision, in percent. A class without a positive has none.

    Args:
        labels: images x classes: 1 present, 0 absent, -1 left out for this class.
        scores: images x classes, finite.
        rule: ``sum`` over thresholds of (R_n - R_{n-1}) P_n, not interpolated; ``area`` under the curve made
            monotone (VOC 2010 on); ``eleven_point``: mean of the best precision at recalls of 0, 0.1, .. 1
            or more (VOC 2007).

    Returns:
        The mean over the classes that have a positive (None where none has), and AP by class (None: no positive).
    """
    require_choice("average precision", rule, RULES)
    per_class: list[float | None] = []
    for column in range(labels.shape[1]):
        counted = labels[:, column] != DIFFICULT
        positive = labels[counted, column] == POSITIVE
        ap = 100.0 * RULES[rule](positive, scores[counted, column]) if positive.any() else None
        per_class.append(ap)
    defined = [ap for ap in per_class if ap is not None]
    return (float(np.mean(defined)) if defined else None), per_class


def _sum(positive: NDArray[np.bool_], scores: Floats) -> float:
    return float(average_precision_score(positive, scores))


def _area(positive: NDArray[np.bool_], scores: Floats) -> float:
    recall, precision = _curve(positive, scores)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def _eleven_point(positive: NDArray[np.bool_], scores: Floats) -> float:
    recall, precision = _curve(positive, scores)
    # Counted in positives, not in rounded fractions: recall 3/10 must reach the threshold 0.3.
    total = int(positive.sum())
    reached = np.rint(recall * total).astype(np.int64)
    points = [precision[10 * reached >= tenth * total].max(initial=0.0) for tenth in range(11)]
    return float(np.mean(points))


def _curve(positive: NDArray[np.bool_], scores: Floats) -> tuple[Floats, Floats]:
    """Recall and precision after each image, in the order of falling scores."""
    found = np.cumsum(positive[np.argsort(-scores, kind="stable")])
    return found / found[-1], found / np.arange(1, len(found) + 1)


RULES: dict[str, Callable[[NDArray[np.bool_], Floats], float]] = {
    "sum": _sum,
    "area": _area,
    "eleven_point": _eleven_point,
}
