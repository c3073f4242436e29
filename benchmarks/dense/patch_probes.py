"""``dense_linear`` and ``dense_knn``: which class is each pixel, told from the frozen features of the patches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.dense.annotated_images import AnnotatedImages, images_with_maps
from benchmarks.dense.maps import map_batches, settings_of
from benchmarks.dense.patch_labels import patch_histograms, read_map
from benchmarks.dense.patch_neighbours import any_patches, neighbours_vote, rare_patches
from benchmarks.dense.segmentation_accuracy import confusion, predicted_map, segmentation_metrics
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.frozen.linear import Standardisation
from benchmarks.frozen.softmax import fit_softmax_path
from scenebench.errors import UserError

Score = Callable[[Tensor], Tensor]
"""Takes features of patches, n x C; gives scores, n x classes."""
_DRAW_SEED = 20230222


def run_patch_probe(cell: Cell) -> Outcome:
    """Learn from patches of the training images, score every pixel of the test images.

    Raises:
        UserError: a split without maps, a map that does not fit its image or holds a foreign label, an image that does
            not divide into the backbone's cells, or training maps of fewer than two classes.
    """
    settings, data = settings_of(cell), cell.protocol.data
    train = images_with_maps(cell.data, data.train_split, data.max_train_images)
    test = images_with_maps(cell.data, data.test_split, data.max_test_images)
    features, histograms = _drawn_patches(cell, train)
    labels = histograms / histograms.sum(dim=1, keepdim=True)
    notes = [*train.notes, *test.notes, f"{len(features)} training patches, a fixed draw"]
    if settings.linear is not None:
        score, more = _linear(cell, features, labels)
        notes += more
    else:
        score = _neighbours(cell, features, labels)
    metrics, per_class = segmentation_metrics(_confusion(cell, test, [score])[0], test.classes)
    return Outcome(metrics, len(train), len(test), per_class, notes)


def _drawn_patches(cell: Cell, images: AnnotatedImages) -> tuple[Tensor, Tensor]:
    """Features and class histograms of the training patches."""
    settings = settings_of(cell)
    assert settings.patches is not None
    quota = max(1, settings.patches.max_patches // len(images))
    draw = rare_patches if settings.knn is not None else any_patches
    features, histograms = [], []
    shown = range(min(len(images), settings.patches.max_patches))  # the images are in no order of content
    for batch, maps in map_batches(cell, images, list(shown)):
        for position, own in zip(batch, maps, strict=True):
            rows, columns = own.shape[1:]
            labels = read_map(images.maps[position], images.paths[position], len(images.classes))
            counts = patch_histograms(labels, rows, columns, len(images.classes)).flatten(0, 1)
            chosen = draw(counts, quota, torch.Generator().manual_seed(_DRAW_SEED + position))
            features.append(own.flatten(1).T[chosen])
            histograms.append(counts[chosen])
    found = torch.cat(histograms)
    if int((found.sum(dim=0) > 0).sum()) < 2:
        raise UserError(
            f"{images.maps[0].parent}: the maps of split '{images.split}' hold fewer than two classes; nothing to tell"
        )
    return torch.cat(features), found


def _linear(cell: Cell, features: Tensor, labels: Tensor) -> tuple[Score, list[str]]:
    """Softmax regression on standardised features; the validation split, where there is one, only chooses L2."""
    settings, data = settings_of(cell), cell.protocol.data
    assert settings.linear is not None
    standardise = Standardisation.of(features)
    shown = standardise(features).float()  # many rows: float32 is enough for a choice of class
    has_validation = cell.data.splits.get(data.val_split, 0) > 0
    strengths = sorted(set(settings.linear.l2), reverse=True) if has_validation else [settings.linear.default_l2]
    probes = list(fit_softmax_path(shown, labels, strengths, settings.linear.max_iterations))
    scores: list[Score] = [lambda own, probe=probe: probe(standardise(own).float()) for probe in probes]  # type: ignore[misc]
    if not has_validation:
        return scores[0], [f"no split '{data.val_split}': L2 fixed at {strengths[0]:g}"]
    held = images_with_maps(cell.data, data.val_split, data.max_test_images)
    values = [segmentation_metrics(own, held.classes)[0]["dense_mIoU"] or 0.0 for own in _confusion(cell, held, scores)]
    best = max(range(len(values)), key=lambda place: (values[place], -place))  # equal: the stronger regularisation
    note = f"L2 {strengths[best]:g} chosen on split '{data.val_split}' (mIoU {values[best]:.2f} there)"
    return scores[best], [note]


def _neighbours(cell: Cell, features: Tensor, labels: Tensor) -> Score:
    settings = settings_of(cell)
    assert settings.knn is not None
    k, temperature = min(settings.knn.k, len(features)), settings.knn.temperature
    return lambda own: neighbours_vote(features, labels, own, k, temperature)


def _confusion(cell: Cell, images: AnnotatedImages, scores: list[Score]) -> list[NDArray[np.int64]]:
    """Pixels by true and predicted class over all images, of each way to score."""
    classes = len(images.classes)
    matrices = [np.zeros((classes, classes), dtype=np.int64) for _ in scores]
    for batch, maps in map_batches(cell, images, list(range(len(images)))):
        rows, columns = maps.shape[2:]
        tokens = maps.flatten(2).transpose(1, 2).flatten(0, 1)
        grids = [score(tokens).unflatten(0, (len(batch), rows, columns)).permute(0, 3, 1, 2) for score in scores]
        for place, position in enumerate(batch):
            truth = read_map(images.maps[position], images.paths[position], classes)
            for matrix, grid in zip(matrices, grids, strict=True):
                matrix += confusion(truth, predicted_map(grid[place], *truth.shape), classes)
    return matrices
