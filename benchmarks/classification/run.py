"""Classification: which probe a protocol asks for; the multi-label probes of this suite and its reference rows.

Published probes of stored features are in ``stored``, whatever trains on images is in ``fine_tuning``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.classification.fine_tuning import run_training
from benchmarks.classification.low_shot import low_shot_values, mean_by_category
from benchmarks.classification.splits import split_images
from benchmarks.classification.stored import run_stored, stored_features
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import choose_images, data_notes
from benchmarks.frozen.linear import Standardisation, best_strength, fit_path
from benchmarks.protocols.protocol import ClassificationProtocol
from scenebench.errors import UserError, require_choice
from scenebench.knn import multilabel_scores
from scenebench.mean_average_precision import POSITIVE, mean_average_precision

SCENE_TYPE_ORACLE = "reference:scene_type_oracle"
CHANCE = "reference:chance"


@dataclass(frozen=True)
class _Split:
    """Features (images x channels) and labels (images x categories: 1, 0, -1 difficult) of one split."""

    features: Tensor
    labels: NDArray[np.int8]

    @property
    def present(self) -> Tensor:
        """The labels as 0/1: what is only difficult counts as absent."""
        return torch.from_numpy((self.labels == POSITIVE).astype(np.uint8))


def run(cell: Cell) -> Outcome:
    """Evaluate the cell's backbone (or reference) on its data.

    Raises:
        UserError: a split is missing, an image cannot be decoded, the data do not fit the probe, or the probe does not
            give a metric of the protocol.
    """
    protocol = cell.protocol
    assert isinstance(protocol, ClassificationProtocol)
    probe = protocol.settings.probe
    if probe == "train":
        outcome = run_training(cell)
    elif probe in ("knn", "linear", "low_shot"):
        outcome = _run_multilabel(cell, protocol)
    else:
        outcome = run_stored(cell)
    for metric in protocol.metrics:
        require_choice(f"metrics of probe '{probe}'", metric, outcome.metrics)
    return outcome


def _run_multilabel(cell: Cell, protocol: ClassificationProtocol) -> Outcome:
    notes = data_notes(cell.data, protocol.data)
    test_labels = _labels(cell, protocol.data.test_split, protocol.data.max_test_images)
    if protocol.settings.probe == "low_shot" and cell.backbone not in (SCENE_TYPE_ORACLE, CHANCE):
        return _run_low_shot(cell, protocol, notes)
    if cell.backbone == CHANCE:
        scores = np.zeros(test_labels.shape)  # one threshold: the precision is each category's prevalence
        train_images = len(choose_images(cell.data, protocol.data.train_split, protocol.data.max_train_images)[0])
        notes.append("the prevalence of the categories; looks at no picture, and is the same whatever the probe")
    elif cell.backbone == SCENE_TYPE_ORACLE:
        scores, train_images = _score_by_scene_type(cell, protocol)
        notes.append("knows the scene type of every image and nothing of its pixels; the same whatever the probe")
    else:
        train = _split(cell, protocol.data.train_split, protocol.data.max_train_images)
        test = _split(cell, protocol.data.test_split, protocol.data.max_test_images)
        train_images = len(train.labels)
        if protocol.settings.probe == "knn":
            scores, more = _score_by_neighbours(protocol, train, test)
        else:
            scores, more = _score_linearly(cell, protocol, train, test)
        notes += more
    value, per_category = mean_average_precision(test_labels, scores)
    undefined = sum(ap is None for ap in per_category)
    if undefined:
        notes.append(f"{undefined} of {len(per_category)} categories have no test image and do not enter the mean")
    return Outcome(
        metrics={"mAP": value},
        per_class={name: {"AP": ap} for name, ap in zip(cell.data.categories, per_category, strict=True)},
        train_images=train_images,
        test_images=len(test_labels),
        notes=notes,
    )


def _run_low_shot(cell: Cell, protocol: ClassificationProtocol, notes: list[str]) -> Outcome:
    settings = protocol.settings.low_shot
    assert settings is not None
    train = _split(cell, protocol.data.train_split, protocol.data.max_train_images)
    test = _split(cell, protocol.data.test_split, protocol.data.max_test_images)
    values, per_category, images = low_shot_values(
        train.features, train.present.numpy(), test.features, test.labels, settings
    )
    told = ", ".join(f"{value:.2f} ({count} images)" for value, count in zip(values, images, strict=True))
    by_category = mean_by_category(per_category)
    fewest = int(train.present.sum(dim=0).min())
    if fewest < settings.per_category:
        notes = [*notes, f"a category has {fewest} training images, fewer than {settings.per_category}: all are taken"]
    return Outcome(
        metrics={"mAP": math.fsum(values) / len(values)},
        per_class={name: {"AP": ap} for name, ap in zip(cell.data.categories, by_category, strict=True)},
        train_images=max(images),
        test_images=len(test.labels),
        notes=[*notes, f"{len(values)} draws of labelled images, the same for every backbone: mAP {told}"],
    )


def scene_type_scores(
    train_types: NDArray[np.int64], train_labels: NDArray[np.uint8], test_types: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Frequency of each category among the training images of the same scene type, float64, tests x categories.

    A scene type that was never trained on gets the overall frequencies.
    """
    overall = train_labels.mean(axis=0)
    by_type = {kind: train_labels[train_types == kind].mean(axis=0) for kind in np.unique(train_types).tolist()}
    return np.stack([by_type.get(kind, overall) for kind in test_types.tolist()]).astype(np.float64)


def _score_by_scene_type(cell: Cell, protocol: ClassificationProtocol) -> tuple[NDArray[np.float64], int]:
    data = protocol.data
    types = {split: cell.data.scene_types(split) for split in (data.train_split, data.test_split)}
    train_types, test_types = types[data.train_split], types[data.test_split]
    if train_types is None or test_types is None:
        raise UserError(
            f"{cell.data.root}: data set '{cell.data.name}' has no scene types; {SCENE_TYPE_ORACLE} needs them"
        )
    train, _ = choose_images(cell.data, data.train_split, data.max_train_images)
    test, _ = choose_images(cell.data, data.test_split, data.max_test_images)
    labels = cell.data.multilabel(data.train_split)[train]
    return scene_type_scores(train_types[train], labels, test_types[test]), len(train)


def _score_by_neighbours(
    protocol: ClassificationProtocol, train: _Split, test: _Split
) -> tuple[NDArray[np.float64], list[str]]:
    settings = protocol.settings.knn
    k = min(settings.k, len(train.labels))
    notes = [f"k lowered from {settings.k} to the {k} training images"] if k < settings.k else []
    scores = multilabel_scores(train.features, train.present, test.features, k, settings.temperature)
    return scores.numpy(), notes


def _score_linearly(
    cell: Cell, protocol: ClassificationProtocol, train: _Split, test: _Split
) -> tuple[NDArray[np.float64], list[str]]:
    """Fit on the training split; the validation split, where there is one, only chooses the strength of L2."""
    settings = protocol.settings.linear
    standardise = Standardisation.of(train.features)
    features, labels = standardise(train.features), train.present
    if cell.data.splits.get(protocol.data.val_split, 0) == 0:
        (probe,) = fit_path(features, labels, [settings.default_l2], settings.max_iterations)
        note = f"no split '{protocol.data.val_split}': L2 fixed at {settings.default_l2:g}"
        return probe(standardise(test.features)).numpy(), [note]
    validation = _split(cell, protocol.data.val_split, None)
    strengths = sorted(set(settings.l2), reverse=True)
    held_out = standardise(validation.features)
    value, strength, probe = best_strength(
        strengths,
        fit_path(features, labels, strengths, settings.max_iterations),
        lambda one: mean_average_precision(validation.labels, one(held_out).numpy())[0] or 0.0,
    )
    note = f"L2 {strength:g} chosen on split '{protocol.data.val_split}' (mAP {value:.2f} there)"
    return probe(standardise(test.features)).numpy(), [note]


def _split(cell: Cell, split: str, limit: int | None) -> _Split:
    images = split_images(cell, split, limit)
    return _Split(stored_features(cell, images, split), images.labels)


def _labels(cell: Cell, split: str, limit: int | None) -> NDArray[np.int8]:
    return split_images(cell, split, limit).labels
