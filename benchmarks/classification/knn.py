"""Weighted k-nearest-neighbour scores for multi-label data."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

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
