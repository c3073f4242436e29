"""Weighted k-nearest neighbours on features, where an image has several labels and where it has one class.

A neighbour's vote weighs exp(cosine similarity / temperature), as in Wu et al., CVPR 2018 (instance discrimination).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CHUNK = 1024


def nearest_neighbours(
    train: Tensor, test: Tensor, k: int, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Cosine similarities and indices of the ``k`` nearest training images, the nearest first.

    In chunks of the test images: at the speed of one matrix product.

    Args:
        train, test: features, N x C and M x C; a zero vector is similar to nothing (cosine 0).
        k: 1 .. N.
        dtype: what similarities are computed in.

    Returns:
        M x k of ``dtype``, and M x k, int64.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"k = {k} with {len(train)} training images")
    bank = functional.normalize(train.to(dtype), dim=1)
    found = [(functional.normalize(chunk.to(dtype), dim=1) @ bank.T).topk(k, dim=1) for chunk in test.split(_CHUNK)]
    return torch.cat([pair.values for pair in found]), torch.cat([pair.indices for pair in found])


def multilabel_scores(train: Tensor, labels: Tensor, test: Tensor, k: int, temperature: float) -> Tensor:
    """Weighted mean of the labels of the ``k`` nearest training images.

    The votes are divided by the sum of their weights, so that scores of different images are comparable: mAP ranks
    images.

    Args:
        train, test, k: as for :func:`nearest_neighbours`.
        labels: 0/1, N x categories.
        temperature: > 0.

    Returns:
        Scores in 0..1, float64, M x categories.
    """
    similarity, indices = nearest_neighbours(train, test, k, torch.float64)
    labels = labels.double()
    scores = []
    for values, rows in zip(similarity.split(_CHUNK), indices.split(_CHUNK), strict=True):
        weights = torch.softmax(values / temperature, dim=1)
        scores.append(torch.einsum("mk,mkc->mc", weights, labels[rows]))
    return torch.cat(scores)


def class_votes(similarity: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """Sums of the neighbours' votes for each class.

    Args:
        similarity: M x k. labels: of these neighbours, int64, M x k.

    Returns:
        float64, M x classes, relative to the nearest neighbour's vote (which cannot overflow and ranks alike).
    """
    exponent = similarity.double() / temperature
    weights = torch.exp(exponent - exponent.max(dim=1, keepdim=True).values)
    votes = torch.zeros(len(similarity), classes, dtype=torch.float64)
    return votes.scatter_add_(1, labels, weights)
