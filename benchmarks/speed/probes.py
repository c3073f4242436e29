"""How long kNN and the linear probe take on stored features.

The features are made up (clusters with noise); neither probe's time depends on what they hold.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from benchmarks.classification.linear_grid import fit_grid, grid_scores, standardise_
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.protocols.classification import KNNSettings, LinearGridSettings
from benchmarks.speed.stopwatch import timed
from scenebench.knn import class_votes, nearest_neighbours

WIDTH, CLASSES = 2048, 100


def measure_probes(images: int, width: int = WIDTH, classes: int = CLASSES) -> dict[str, Any]:
    """Seconds of both probes on so many training images and as many tests, and the accuracy that each reached."""
    train, train_labels = _made_up(images, width, classes, seed=0)
    test, labels = _made_up(images, width, classes, seed=1)
    knn, knn_took = timed(lambda: _knn(train, train_labels, test, classes))
    linear, linear_took = timed(lambda: _linear(train, train_labels, test, classes))
    return {
        "images": images,
        "width": width,
        "classes": classes,
        "threads": torch.get_num_threads(),
        "learning_rates": len(LinearGridSettings().learning_rates),
        "knn": knn_took.plain() | {"top1": round(top_k_accuracy(knn, labels, 1), 2)},
        "linear": linear_took.plain() | {"top1": round(top_k_accuracy(linear, labels, 1), 2)},
    }


def _made_up(images: int, width: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    centres = torch.randn(classes, width, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (images,), generator=generator)
    return 0.15 * centres[labels] + torch.randn(images, width, generator=generator), labels


def _knn(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    settings = KNNSettings()
    similarity, indices = nearest_neighbours(train, test, settings.k)
    return class_votes(similarity, labels[indices], classes, settings.temperature)


def _linear(train: Tensor, labels: Tensor, test: Tensor, classes: int) -> Tensor:
    settings = LinearGridSettings(batch_size=1024)
    standardise_(train, test)
    weights = fit_grid(train, labels, classes, settings, seed=0)
    return grid_scores(test, weights[len(weights) // 2])
