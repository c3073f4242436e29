"""A linear probe given the labels of few images: fitted on several draws, each evaluated on all test images.

The draws depend on the data and on their own seed alone, never on the backbone or its seed, so that every backbone is
given the same images and differences are paired.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.frozen.linear import Standardisation, fit_path
from benchmarks.protocols.classification import LowShotSettings
from scenebench.errors import UserError
from scenebench.mean_average_precision import mean_average_precision

MAX_ITERATIONS = 200


def draw_images(present: NDArray[np.integer[Any]], settings: LowShotSettings, draw: int) -> NDArray[np.int64]:
    """The images of one draw, in ascending order: equal arguments, equal draw.

    With ``per_category`` k: k random images of every category, their union (an image counts for each of its
    categories, so a category may have more); all of a category that has fewer. With ``share``: that share of all
    images, rounded, at least one.

    Args:
        present: 0/1, images x categories; of a share only the number of images counts.
        draw: 0, 1, ...
    """
    rng = np.random.default_rng([draw, settings.per_category])
    if not settings.per_category:
        wanted = max(1, round(settings.share * len(present)))
        return np.sort(rng.permutation(len(present))[:wanted]).astype(np.int64)
    chosen: set[int] = set()
    for column in range(present.shape[1]):
        holders = np.flatnonzero(present[:, column])
        chosen.update(rng.permutation(holders)[: settings.per_category].tolist())
    return np.array(sorted(chosen), dtype=np.int64)


def low_shot_scores(
    train: Tensor, present: NDArray[np.uint8], test: Tensor, chosen: NDArray[np.int64], l2: float
) -> NDArray[np.float64]:
    """Logits of the test images by logistic regression on the ``chosen`` training images: tests x categories.

    Features are standardised by all training images, which needs no label. A category that all or none of the chosen
    images hold cannot be learnt: its scores are 0 for every image.

    Args:
        train, test: features, N x C and M x C.
        present: 0/1, N x categories.
        l2: as of :func:`benchmarks.frozen.linear.fit_path`.
    """
    standardise = Standardisation.of(train)
    labels = present[chosen]
    learnable = (labels.any(axis=0)) & ~(labels.all(axis=0))
    scores = np.zeros((len(test), present.shape[1]))
    if learnable.any():
        features = standardise(train)[torch.from_numpy(chosen)]
        (probe,) = fit_path(features, torch.from_numpy(labels[:, learnable]), [l2], MAX_ITERATIONS)
        scores[:, learnable] = probe(standardise(test)).numpy()
    return scores


def low_shot_values(
    train: Tensor,
    present: NDArray[np.uint8],
    test: Tensor,
    test_labels: NDArray[np.int8],
    settings: LowShotSettings,
) -> tuple[list[float], list[list[float | None]], list[int]]:
    """Of each draw: mAP in percent, AP by category, and the number of its images.

    Args:
        present: 0/1, images x categories; ``test_labels``: 1, 0, -1 (difficult).

    Raises:
        UserError: the test images hold no category.
    """
    values, per_category, images = [], [], []
    for draw in range(settings.draws):
        chosen = draw_images(present, settings, draw)
        scores = low_shot_scores(train, present, test, chosen, settings.l2)
        value, by_category = mean_average_precision(test_labels, scores)
        if value is None:
            raise UserError("the test images hold none of the categories")
        values.append(value)
        per_category.append(by_category)
        images.append(len(chosen))
    return values, per_category, images


def mean_by_category(per_category: list[list[float | None]]) -> list[float | None]:
    """AP of each category over the draws; None where it is undefined (then it is so in every draw)."""
    columns = zip(*per_category, strict=True)
    return [
        None if any(value is None for value in column) else math.fsum(v for v in column if v is not None) / len(column)
        for column in columns
    ]
