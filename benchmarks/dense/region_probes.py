"""``region_knn`` and ``region_linear``: which category is the object in a ground-truth box?"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.dense.annotated_images import images_with_boxes
from benchmarks.dense.maps import settings_of
from benchmarks.dense.object_accuracy import SIZES, mean_category_accuracy, object_metrics, size_of
from benchmarks.dense.object_features import BOX_SHAPE, object_features
from benchmarks.dense.objects import Objects, drawn, drawn_by_category, objects_of
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.frozen.linear import Standardisation, best_strength
from benchmarks.frozen.softmax import fit_softmax_path
from scenebench.knn import class_votes, nearest_neighbours


def run_region_probe(cell: Cell) -> Outcome:
    """Learn from the training objects, name the test objects.

    Raises:
        UserError: a split without objects, or of one category alone; an image that cannot be decoded or does not
            divide into the backbone's cells.
    """
    settings, data = settings_of(cell), cell.protocol.data
    region = settings.region
    assert region is not None
    train = drawn_by_category(
        objects_of(images_with_boxes(cell.data, data.train_split, data.max_train_images)), region.max_per_category
    )
    test = drawn(objects_of(images_with_boxes(cell.data, data.test_split, data.max_test_images)), region.max_objects)
    scores, notes = _scores(cell, train, test)
    predicted = scores.argmax(dim=1)
    metrics = object_metrics(predicted, test.labels, test.areas, region.size_limits)
    counts = torch.bincount(size_of(test.areas, region.size_limits), minlength=3).tolist()
    told = ", ".join(f"{count} {name}" for count, name in zip(counts, SIZES, strict=True))
    unseen = sorted(set(test.labels.tolist()) - set(train.labels.tolist()))
    if unseen:
        names = ", ".join(cell.data.categories[label] for label in unseen)
        notes.append(f"{len(unseen)} categories of the test have no training object and count as never right: {names}")
    return Outcome(
        metrics=metrics,
        per_class=_by_category(predicted, test.labels, cell.data.categories),
        train_images=len(train.shown),
        test_images=len(test.shown),
        instances=len(test),
        notes=[*train.notes, *test.notes, f"{len(train)} training and {len(test)} test objects ({told})", *notes],
    )


def _scores(cell: Cell, train: Objects, test: Objects) -> tuple[Tensor, list[str]]:
    """Scores by category, K x categories, and notes."""
    settings = settings_of(cell)
    features, queries = object_features(cell, train), object_features(cell, test)
    if settings.linear is not None:
        return _linear(cell, train, features, queries)
    assert settings.knn is not None
    if cell.backbone == BOX_SHAPE:  # numbers of unlike scales have no angle between them
        standardise = Standardisation.of(features)
        features, queries = standardise(features), standardise(queries)
    k = min(settings.knn.k, len(train))
    similarity, indices = nearest_neighbours(features, queries, k)
    scores = class_votes(similarity, train.labels[indices], len(cell.data.categories), settings.knn.temperature)
    return scores, [f"k lowered from {settings.knn.k} to the {k} training objects"] if k < settings.knn.k else []


def _linear(cell: Cell, train: Objects, features: Tensor, queries: Tensor) -> tuple[Tensor, list[str]]:
    """Fit on the training objects; the validation split, where there is one, only chooses the strength of L2."""
    settings, data = settings_of(cell), cell.protocol.data
    assert settings.linear is not None
    assert settings.region is not None
    standardise = Standardisation.of(features)
    shown = standardise(features)
    targets = functional.one_hot(train.labels, len(cell.data.categories))
    if cell.data.splits.get(data.val_split, 0) == 0:
        (probe,) = fit_softmax_path(shown, targets, [settings.linear.default_l2], settings.linear.max_iterations)
        note = f"no split '{data.val_split}': L2 fixed at {settings.linear.default_l2:g}"
        return probe(standardise(queries)), [note]
    held = drawn(objects_of(images_with_boxes(cell.data, data.val_split, None)), settings.region.max_objects)
    held_out = standardise(object_features(cell, held))
    strengths = sorted(set(settings.linear.l2), reverse=True)
    value, strength, probe = best_strength(
        strengths,
        fit_softmax_path(shown, targets, strengths, settings.linear.max_iterations),
        lambda one: mean_category_accuracy(one(held_out).argmax(dim=1) == held.labels, held.labels) or 0.0,
    )
    note = f"L2 {strength:g} chosen on split '{data.val_split}' ({value:.2f} there)"
    return probe(standardise(queries)), [note]


def _by_category(predicted: Tensor, labels: Tensor, categories: list[str]) -> dict[str, dict[str, float | None]]:
    values: dict[str, dict[str, float | None]] = {}
    for label, name in enumerate(categories):
        own = predicted[labels == label]
        values[name] = {"accuracy": 100.0 * float((own == label).double().mean()) if len(own) else None}
    return values
