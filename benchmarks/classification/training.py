"""The one trainer: fine-tuning, semi-supervised fine-tuning and linear classifiers on images differ in values only."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.classification.heads import Classifier, GridCell, build_optimiser
from benchmarks.classification.images import DIFFICULT, POSITIVE, LabelledImages
from benchmarks.classification.schedule import rate_factor
from benchmarks.classification.settings import TrainSettings, ViewSettings
from benchmarks.classification.views import Views, batches, in_order, shuffled
from benchmarks.progress import Progress
from scenebench.errors import UserError
from transfer.backbone_file import Preprocessing
from transfer.network import Backbone

Measure = Callable[[Tensor, LabelledImages], float | None]
"""Scores (N x classes, on the CPU) and labels to the percentage that chooses; None where it is undefined."""


@dataclass(frozen=True)
class Task:
    """What is trained and tested; ``val`` is needed only where it chooses from a grid.

    Attributes:
        load: a fresh copy of the pretrained network at each call.
        difficult: see ``ClassificationSettings.difficult``.
        measure: of the final scores, and what chooses.
    """

    load: Callable[[], Backbone]
    preprocessing: Preprocessing
    train: LabelledImages
    val: LabelledImages | None
    test: LabelledImages
    classes: int
    settings: TrainSettings
    views: ViewSettings
    difficult: str
    measure: Measure


@dataclass
class CellResult:
    """One cell of the grid. ``chosen_by``: its value on the split that chooses; None: it diverged.

    ``by_epoch``: test values by number of trained epochs. ``scores``: of the test images, at the end.
    """

    cell: GridCell
    chosen_by: float | None
    scores: Tensor
    by_epoch: dict[int, float | None] = field(default_factory=dict)


def grid_of(settings: TrainSettings) -> list[list[GridCell]]:
    """The cells that are trained together: all of them on a frozen backbone, else each alone."""
    pairs = product(settings.stages, settings.learning_rates, settings.head_lr_factors)
    cells = [GridCell(*values) for values in pairs]
    return [cells] if settings.frozen else [[cell] for cell in cells]


def train_grid(task: Task, seed: int) -> tuple[CellResult, list[CellResult]]:
    """Train every cell and test it; the best by the split that chooses, and all of them in the grid's order.

    Equal seeds give equal numbers, bit for bit, on one CPU thread.

    Raises:
        UserError: every cell diverged, or an image cannot be decoded.
    """
    results = [result for cells in grid_of(task.settings) for result in _train_cells(task, cells, seed)]
    finished = [result for result in results if result.chosen_by is not None]
    if not finished:
        raise UserError(
            f"the training diverged at every learning rate ({task.settings.learning_rates}); lower them: "
            "settings.train.learning_rates"
        )
    return max(finished, key=lambda result: result.chosen_by or 0.0), results


def _train_cells(task: Task, cells: list[GridCell], seed: int) -> list[CellResult]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = task.settings
    classifier = Classifier(task.load(), cells, task.classes, settings, seed, task.views.size).to(device)
    optimiser = build_optimiser(classifier)
    targets = training_targets(task.train, task.difficult).to(device)
    smallest = 2 if settings.cells > 1 or not (settings.frozen or settings.frozen_norms) else 1
    steps = len(shuffled(len(task.train), settings.batch_size, seed, 0, smallest))
    progress = Progress(settings.epochs * steps, cells[0].label if len(cells) == 1 else f"{len(cells)} heads")
    by_epoch: list[dict[int, float | None]] = [{} for _ in cells]
    step = 0
    for epoch in range(settings.epochs):
        order = shuffled(len(task.train), settings.batch_size, seed, epoch, smallest)
        classifier.train()
        for indices, pixels in zip(
            order, batches(Views(task.train.paths, task.views, seed, epoch), order), strict=True
        ):
            _set_rates(optimiser, rate_factor(settings, step, steps))
            losses = _losses(classifier(task.preprocessing.normalise(pixels.to(device))), targets[indices])
            optimiser.zero_grad()
            torch.stack(losses).sum().backward()
            optimiser.step()
            step += 1
            progress.advance(note=f"loss {min(float(loss.detach()) for loss in losses):.3f}")
        last = epoch == settings.epochs - 1
        if last or (settings.evaluate_every and (epoch + 1) % settings.evaluate_every == 0):
            scores = predict(classifier, task, task.test, device)
            for values, own in zip(by_epoch, scores, strict=True):
                values[epoch + 1] = _measure(task, own, task.test)
    chosen_by = [values[settings.epochs] for values in by_epoch]
    if settings.choose_on == "val" and settings.is_grid:
        assert task.val is not None
        chosen_by = [_measure(task, own, task.val) for own in predict(classifier, task, task.val, device)]
    results = [CellResult(*parts) for parts in zip(cells, chosen_by, scores, by_epoch, strict=True)]
    for result in results:
        value = "diverged" if result.chosen_by is None else f"{result.chosen_by:.2f} on {settings.choose_on}"
        logging.getLogger("scenebench").info("%s: %s", result.cell.label, value)
    return results


@torch.no_grad()
def predict(classifier: Classifier, task: Task, images: LabelledImages, device: torch.device) -> list[Tensor]:
    """Scores of each head for every image, in order, on the CPU."""
    classifier.eval()
    found: list[list[Tensor]] = []
    order = in_order(len(images), task.settings.batch_size)
    for pixels in batches(Views(images.paths, task.views), order):
        logits = classifier(task.preprocessing.normalise(pixels.to(device)))
        found.append([own.float().cpu() for own in logits])
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def training_targets(images: LabelledImages, difficult: str) -> Tensor:
    """int64 classes, N; or multi-label float32, N x classes: 1, 0, and NaN where an entry is not trained on."""
    labels = torch.from_numpy(images.labels)
    if not images.multilabel:
        return labels
    values = {"positive": 1.0, "negative": 0.0, "ignored": math.nan}
    targets = (labels == POSITIVE).float()
    targets[labels == DIFFICULT] = values[difficult]
    return targets


def _losses(logits: list[Tensor], targets: Tensor) -> list[Tensor]:
    """Cross-entropy, or binary cross-entropy averaged over the entries that count."""
    if targets.ndim == 1:
        return [functional.cross_entropy(own, targets) for own in logits]
    counted = ~targets.isnan()
    wanted = targets.nan_to_num(0.0)
    losses = [functional.binary_cross_entropy_with_logits(own, wanted, reduction="none") for own in logits]
    return [(loss * counted).sum() / counted.sum().clamp(min=1) for loss in losses]


def _set_rates(optimiser: torch.optim.SGD, factor: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def _measure(task: Task, scores: Tensor, images: LabelledImages) -> float | None:
    return task.measure(scores, images) if bool(torch.isfinite(scores).all()) else None
