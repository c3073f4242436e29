"""Protocols that train by SGD on images: fine-tuning, semi-supervised, linear heads on a frozen backbone."""

from __future__ import annotations

import copy

import torch

from benchmarks.classification.images import LabelledImages
from benchmarks.classification.measures import main_metric, main_value, measure
from benchmarks.classification.resuming import FOLDER, Keeper
from benchmarks.classification.splits import split_images, train_images
from benchmarks.classification.training import CellResult, Task, train_grid
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.protocols.protocol import ClassificationProtocol
from scenebench.config import config_hash
from scenebench.errors import UserError
from scenebench.files import sha256_of
from transfer.backbone_file import load_network


def run_training(cell: Cell) -> Outcome:
    """Train what the protocol says and test it; the notes tell every cell of a grid.

    Raises:
        UserError: a reference instead of a backbone, bad data, or a training that diverged.
    """
    protocol = cell.protocol
    assert isinstance(protocol, ClassificationProtocol)
    settings, limits = protocol.settings, protocol.data
    assert settings.train is not None
    assert settings.views is not None
    if cell.info is None:
        raise UserError(f"{cell.backbone}: no backbone, so protocol '{protocol.id}' has nothing to train")
    train = train_images(cell)
    test = split_images(cell, limits.test_split, limits.max_test_images)
    chooses = settings.train.is_grid and settings.train.choose_on == "val"
    val = split_images(cell, limits.val_split, None) if chooses else None
    rule = settings.average_precision
    _, network = load_network(cell.backbone_file)
    task = Task(
        load=lambda: copy.deepcopy(network),
        preprocessing=cell.info.preprocessing,
        train=train,
        val=val,
        test=test,
        classes=len(cell.data.categories),
        settings=settings.train,
        views=settings.views,
        difficult=settings.difficult,
        measure=lambda scores, images: main_value(scores, images, rule),
        keeper=Keeper(cell.out / FOLDER, _key_of(cell, [train, test, *([] if val is None else [val])])),
    )
    best, results = train_grid(task, cell.seed)
    assert task.keeper is not None
    metrics, per_class = measure(best.scores, test, rule, cell.data.categories)
    reached = [value for value in best.by_epoch.values() if value is not None]
    metrics[f"{main_metric(test.multilabel)}_best_epoch"] = max(reached, default=None)
    notes = [*train.notes, *test.notes, *task.keeper.notes]
    if settings.train.is_grid:
        split = limits.val_split if chooses else limits.test_split
        notes.append(_grid_note(best, results, f"split '{split}'" + ("" if chooses else ", the one that is reported")))
    return Outcome(metrics, len(train), len(test), per_class, notes)


def _key_of(cell: Cell, splits: list[LabelledImages]) -> str:
    """Names everything that a half-trained state depends on."""
    return config_hash(
        {
            "protocol": cell.protocol.resolved,
            "backbone": sha256_of(cell.backbone_file),
            "images": [images.fingerprint for images in splits],
            "seed": cell.seed,
            "torch": torch.__version__,
            "device": "cuda" if torch.cuda.is_available() else "cpu",
        }
    )


def _grid_note(best: CellResult, results: list[CellResult], chosen_on: str) -> str:
    told = "; ".join(
        f"{result.cell.label}: {'diverged' if result.chosen_by is None else format(result.chosen_by, '.2f')}"
        for result in results
    )
    return f"chosen on {chosen_on}: {best.cell.label}. All: {told}"
