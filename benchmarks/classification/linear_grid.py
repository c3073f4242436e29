"""Linear classifiers for a whole grid of learning rates, trained side by side in one pass over stored features."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.protocols.classification import LinearGridSettings
from scenebench.progress import Progress

_MOMENTUM = 0.9
_CHUNK = 4096


def standardise_(train: Tensor, test: Tensor) -> None:
    """Give both, in place, the mean 0 and variance 1 that ``train`` then has; a constant column becomes 0.

    The statistics are float64, a chunk at a time: ImageNet's features fill the memory once and not three times.

    Args:
        train, test: float32, N x C and M x C.
    """
    mean = sum(chunk.double().sum(dim=0) for chunk in train.split(_CHUNK)) / len(train)
    variance = sum((chunk.double() - mean).square().sum(dim=0) for chunk in train.split(_CHUNK)) / len(train)
    std = torch.where(variance > 1e-24, variance.sqrt(), torch.inf)
    for features in (train, test):
        for chunk in features.split(_CHUNK):
            chunk.copy_((chunk.double() - mean) / std)


def fit_grid(
    features: Tensor,
    labels: Tensor,
    classes: int,
    settings: LinearGridSettings,
    seed: int,
    rows: Tensor | None = None,
) -> Tensor:
    """SGD with momentum and cosine decay, from zero, on cross-entropy; a classifier for each learning rate.

    All classifiers see the same batches. Their weights lie side by side in one matrix, so that a batch costs two matrix
    products however long the grid is: the features are read from memory once. A classifier that diverges holds values
    that are not finite and harms no other.

    Args:
        features: standardised, float32, N x C.
        labels: int64, N, below ``classes``.
        rows: int64, those that train; None for all.

    Returns:
        float32, grid x (C + 1) x classes; the last row is the bias.
    """
    rates = torch.tensor(settings.learning_rates, device=features.device)[:, None]
    grid, width = len(rates), features.shape[1]
    weight = torch.zeros(width + 1, grid * classes, device=features.device)
    velocity = torch.zeros_like(weight)
    column_rates = rates.expand(grid, classes).reshape(1, -1)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.arange(len(features), device=features.device) if rows is None else rows.to(features.device)
    batches = math.ceil(len(rows) / settings.batch_size)
    total, step = settings.epochs * batches, 0
    progress = Progress(settings.epochs, "linear classifiers: epochs")
    for _ in range(settings.epochs):
        order = rows[torch.randperm(len(rows), generator=generator).to(features.device)]
        for indices in order.split(settings.batch_size):
            gradient = _gradient(features[indices], labels[indices], weight, classes)
            gradient[:-1] += settings.weight_decay * weight[:-1]
            velocity.mul_(_MOMENTUM).add_(gradient)
            weight.sub_(column_rates * velocity * (0.5 * (1.0 + math.cos(math.pi * step / total))))
            step += 1
        progress.advance()
    return weight.view(width + 1, grid, classes).transpose(0, 1).contiguous()


def grid_scores(features: Tensor, weight: Tensor) -> Tensor:
    """Logits of one classifier of :func:`fit_grid`: N x classes."""
    return features @ weight[:-1] + weight[-1]


def _gradient(features: Tensor, labels: Tensor, weight: Tensor, classes: int) -> Tensor:
    """Of each mean cross-entropy: softmax minus one-hot, times the features; (C + 1) x (grid * classes)."""
    logits = torch.addmm(weight[-1], features, weight[:-1]).view(len(features), -1, classes)
    error = torch.softmax(logits, dim=2)
    error -= functional.one_hot(labels, classes)[:, None].to(error.dtype)
    error = error.view(len(features), -1) / len(features)
    return torch.cat([features.T @ error, error.sum(dim=0, keepdim=True)])
