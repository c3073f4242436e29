"""The one trainer: fine-tuning, semi-supervised fine-tuning and linear classifiers on images differ in values only."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.classification.heads import Classifier, GridCell, build_optimiser
from benchmarks.classification.images import LabelledImages
from benchmarks.classification.resuming import Keeper, restore, state_of
from benchmarks.classification.schedule import rate_factor
from benchmarks.classification.views import Views, batches, in_order, shuffled
from benchmarks.protocols.classification import TrainSettings, ViewSettings
from scenebench.errors import UserError
from scenebench.mean_average_precision import DIFFICULT, POSITIVE
from scenebench.progress import Progress
from transfer.backbone_file import Preprocessing
from transfer.networks.network import Backbone

Measure = Callable[[Tensor, LabelledImages], float | None]
"""Scores (N x classes, on the CPU) and labels to the percentage that chooses; None where it is undefined."""


@dataclass(frozen=True)
class Task:
    """What is trained and tested; ``val`` is needed only where it chooses from a grid.

    Attributes:
        load: a fresh copy of the pretrained network at each call.
        difficult: see ``ClassificationSettings.difficult``.
        measure: of the final scores, and what chooses.
        keeper: where the state of the training is kept against a kill; None: nowhere.
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
    keeper: Keeper | None = None


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

    Equal seeds give equal numbers, bit for bit, on one CPU thread; also where a keeper goes on after a kill.

    Raises:
        UserError: every cell diverged, or an image cannot be decoded.
    """
    grid = grid_of(task.settings)
    results = [result for part, cells in enumerate(grid) for result in _kept_or_trained(task, part, cells, seed)]
    finished = [result for result in results if result.chosen_by is not None]
    if not finished:
        raise UserError(
            f"the training diverged at every learning rate ({task.settings.learning_rates}); lower them: "
            "settings.train.learning_rates"
        )
    return max(finished, key=lambda result: result.chosen_by or 0.0), results


def _kept_or_trained(task: Task, part: int, cells: list[GridCell], seed: int) -> list[CellResult]:
    """The cells that are trained together, by their number in the grid; read where an earlier attempt finished them."""
    state = None if task.keeper is None else task.keeper.read(part)
    if state is not None and "results" in state:
        assert task.keeper is not None
        task.keeper.notes.append(f"{', '.join(cell.label for cell in cells)}: trained by an earlier attempt")
        return [CellResult(cell, *values) for cell, values in zip(cells, state["results"], strict=True)]
    results = _train_cells(task, part, cells, seed, state)
    if task.keeper is not None and not task.settings.frozen and task.settings.is_grid:
        kept = [(result.chosen_by, result.scores, result.by_epoch) for result in results]
        task.keeper.write(part, {"results": kept})
    return results


def _train_cells(
    task: Task, part: int, cells: list[GridCell], seed: int, state: dict[str, Any] | None
) -> list[CellResult]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    settings = task.settings
    classifier = Classifier(task.load(), cells, task.classes, settings, seed, task.views.size).to(device)
    optimiser = build_optimiser(classifier)
    targets = training_targets(task.train, task.difficult).to(device)
    smallest = 2 if settings.cells > 1 or not (settings.frozen or settings.frozen_norms) else 1
    steps = len(shuffled(len(task.train), settings.batch_size, seed, 0, smallest))
    by_epoch: list[dict[int, float | None]] = [{} for _ in cells]
    first = 0
    if state is not None:
        assert task.keeper is not None
        first, by_epoch = restore(state, classifier, optimiser), state["by_epoch"]
        task.keeper.notes.append(f"training went on after epoch {first} of {settings.epochs}; the time is the rest's")
    what = cells[0].label if len(cells) == 1 else f"{len(cells)} heads"
    step = first * steps
    progress = Progress(settings.epochs * steps, what, done=step)
    for epoch in range(first, settings.epochs):
        order = shuffled(len(task.train), settings.batch_size, seed, epoch, smallest)
        classifier.train()
        for indices, pixels in zip(
            order, batches(Views(task.train.paths, task.views, seed, epoch), order), strict=True
        ):
            _set_rates(optimiser, rate_factor(settings, step, steps))
            losses = losses_of(classifier(task.preprocessing.normalise(pixels.to(device))), targets[indices])
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
        if task.keeper is not None and not last and task.keeper.is_due:
            task.keeper.write(part, state_of(classifier, optimiser, epoch + 1) | {"by_epoch": by_epoch})
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


def losses_of(logits: list[Tensor], targets: Tensor) -> list[Tensor]:
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
