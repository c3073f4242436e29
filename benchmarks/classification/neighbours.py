"""Weighted k-nearest neighbours where an image has one class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_CHUNK = 1024


def nearest(train: Tensor, test: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Cosine similarities and indices of the ``k`` nearest training images, the nearest first.

    float32, in chunks of the test images: at the speed of one matrix product.

    Args:
        train, test: N x C and M x C; a zero vector is similar to nothing (cosine 0).
        k: 1 .. N.

    Returns:
        M x k, float32, and M x k, int64.
    """
    if not 1 <= k <= len(train):
        raise ValueError(f"k = {k} with {len(train)} training images")
    bank = functional.normalize(train.float(), dim=1)
    found = [(functional.normalize(chunk.float(), dim=1) @ bank.T).topk(k, dim=1) for chunk in test.split(_CHUNK)]
    return torch.cat([pair.values for pair in found]), torch.cat([pair.indices for pair in found])


def class_votes(similarity: Tensor, labels: Tensor, classes: int, temperature: float) -> Tensor:
    """Votes for each class: a neighbour's weighs exp(similarity / temperature), as in Wu et al., CVPR 2018.

    Args:
        similarity: M x k. labels: of these neighbours, int64, M x k.

    Returns:
        float64, M x classes, relative to the nearest neighbour's vote (which cannot overflow and ranks alike).
    """
    exponent = similarity.double() / temperature
    weights = torch.exp(exponent - exponent.max(dim=1, keepdim=True).values)
    votes = torch.zeros(len(similarity), classes, dtype=torch.float64)
    return votes.scatter_add_(1, labels, weights)
