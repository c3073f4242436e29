"""Multi-label scores and their measure, shared by the benchmarks and the probe while pretraining."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.nn import functional

Labels = NDArray[np.uint8]
Scores = NDArray[np.float64]
_CHUNK = 1024


def knn_scores(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
    """Weighted mean of the labels of the ``k`` nearest training images by cosine similarity.

    The vote of a neighbour weighs exp(similarity / temperature), as in Wu et al., CVPR 2018 (instance discrimination),
    divided here by the sum of the weights, so that scores of different images are comparable: mAP ranks images.

    Args:
        train, test: features, float, N x C and M x C; a zero vector is similar to nothing (cosine 0).
        labels: 0/1, N x categories.
        k: number of neighbours, 1 .. N.
        temperature: > 0.

    Returns:
        Scores in 0..1, float64, M x categories.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"k = {k} with {len(train)} training images")
    bank = functional.normalize(train.double(), dim=1)
    labels = labels.double()
    scores = []
    for queries in test.double().split(_CHUNK):
        similarity = functional.normalize(queries, dim=1) @ bank.T
        nearest, indices = similarity.topk(k, dim=1)
        weights = torch.softmax(nearest / temperature, dim=1)
        scores.append(torch.einsum("mk,mkc->mc", weights, labels[indices]))
    return torch.cat(scores)


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
