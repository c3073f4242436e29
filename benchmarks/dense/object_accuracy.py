"""How often objects are named right: over categories that count alike, plainly, and by size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

SIZES = ("small", "medium", "large")


def mean_category_accuracy(right: Tensor, labels: Tensor) -> float | None:
    """Mean over the categories that occur of the share of their objects that are right, in percent; None: no object.

    Args:
        right: bool, K. labels: int64, K.
    """
    values = [float(right[labels == label].double().mean()) for label in labels.unique().tolist()]
    return 100.0 * sum(values) / len(values) if values else None


def size_of(areas: Tensor, limits: Sequence[float]) -> Tensor:
    """0 small, 1 medium, 2 large: int64, K. A box of exactly a limit belongs to the larger size.

    Args:
        areas, limits: shares of the image's area; limits ascend.
    """
    return torch.bucketize(areas, torch.tensor(list(limits), dtype=areas.dtype), right=True)


def object_metrics(
    predicted: Tensor, labels: Tensor, areas: Tensor, limits: Sequence[float]
) -> dict[str, float | None]:
    """The metrics of a region probe in percent, those by size as means over categories.

    A category without an object of a size does not enter that size's mean.
    """
    right, sizes = predicted == labels, size_of(areas, limits)
    by_size = {
        f"object_{name}": mean_category_accuracy(right[sizes == place], labels[sizes == place])
        for place, name in enumerate(SIZES)
    }
    return {
        "object_acc": mean_category_accuracy(right, labels),
        "object_top1": 100.0 * float(right.double().mean()),
        **by_size,
    }
