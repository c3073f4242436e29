"""Accuracy of one class an image."""

from __future__ import annotations

import torch
from torch import Tensor


def top_k_accuracy(scores: Tensor, labels: Tensor, k: int) -> float:
    """Share of images whose label is among the ``k`` highest scores, in percent.

    A label counts where fewer than ``k`` classes score higher; of equal scores the lower class comes first, so that
    constant scores earn chance and not 100 %. ``k`` of the number of classes or more is always right.

    Args:
        scores: N x classes, finite.
        labels: int64, N.
    """
    own = scores.gather(1, labels[:, None])
    before = torch.arange(scores.shape[1], device=scores.device)[None] < labels[:, None]
    ahead = (scores > own) | ((scores == own) & before)
    return 100.0 * float((ahead.sum(dim=1) < k).double().mean())


def accuracy_by_class(scores: Tensor, labels: Tensor) -> list[float | None]:
    """Top-1 accuracy of the images of each class, in percent; None for a class without images."""
    right = scores.argmax(dim=1) == labels
    values: list[float | None] = []
    for label in range(scores.shape[1]):
        own = right[labels == label]
        values.append(100.0 * float(own.double().mean()) if len(own) else None)
    return values
