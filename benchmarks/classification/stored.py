"""Probes of stored features: SVMs, neighbours and linear classifiers with one class an image."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.classification.features import backbone_features, colour_histograms
from benchmarks.classification.images import LabelledImages
from benchmarks.classification.linear_grid import fit_grid, grid_scores, standardise_
from benchmarks.classification.measures import measure
from benchmarks.classification.splits import split_images, train_images
from benchmarks.classification.svm import low_shot_map, normalise, score_svms
from benchmarks.classification.top_k import top_k_accuracy
from benchmarks.evaluation.cell import Cell, Outcome
from benchmarks.evaluation.inputs import choose
from benchmarks.frozen.feature_cache import cached, key_of
from benchmarks.protocols.classification import LinearGridSettings, SVMSettings
from benchmarks.protocols.protocol import ClassificationProtocol
from scenebench.errors import UserError
from scenebench.files import sha256_of
from scenebench.knn import class_votes, nearest_neighbours
from transfer.backbone_file import load_network

COLOUR_HISTOGRAM = "reference:colour_histogram"


def run_stored(cell: Cell) -> Outcome:
    """Probe stored features.

    Raises:
        UserError: a split is missing, an image cannot be decoded, or the data do not fit the probe.
    """
    protocol = cell.protocol
    assert isinstance(protocol, ClassificationProtocol)
    settings = protocol.settings
    train = train_images(cell)
    test = split_images(cell, protocol.data.test_split, protocol.data.max_test_images)
    train_features, test_features = (
        stored_features(cell, images, what) for images, what in _both(protocol, train, test)
    )
    notes = [*train.notes, *test.notes]
    if settings.probe == "svm_low_shot":
        return _low_shot(cell, train, test, train_features, test_features, notes)
    if settings.probe == "svm":
        scores, note = _svm(cell, train, train_features, test_features)
    elif settings.probe == "knn_classes":
        scores, note = _knn(cell, train, train_features, test_features)
    else:
        scores, note = _linear(cell, train, train_features, test_features)
    metrics, per_class = measure(scores, test, settings.average_precision, cell.data.categories)
    return Outcome(metrics, len(train), len(test), per_class, [*notes, *note])


def stored_features(cell: Cell, images: LabelledImages, what: str) -> Tensor:
    """Features of the cell's backbone (or colours), read from the cache or computed: float32, N x C.

    Raises:
        UserError: an image cannot be decoded, or the scene-type oracle, which has no features.
    """
    protocol = cell.protocol
    assert isinstance(protocol, ClassificationProtocol)
    settings = protocol.settings
    if cell.backbone == COLOUR_HISTOGRAM:
        return colour_histograms(images.paths, settings.image_size, what)
    if cell.info is None:
        raise UserError(f"{cell.backbone}: has no features for protocol '{protocol.id}'")

    def compute() -> Tensor:
        info, network = load_network(cell.backbone_file)
        shown = (settings.image_size, settings.batch_size, settings.feature, what, settings.crop_from)
        return backbone_features(network, info.preprocessing, images.paths, *shown)

    key = key_of(
        backbone=sha256_of(cell.backbone_file),  # its header holds the preprocessing
        images=images.fingerprint,
        size=settings.image_size,
        crop_from=settings.crop_from,
        feature=settings.feature,
        batch_size=settings.batch_size,  # a batch's size moves the last bits
        device=_device().type,
        torch=torch.__version__,
    )
    return cached(key, len(images), compute)


def _both(
    protocol: ClassificationProtocol, train: LabelledImages, test: LabelledImages
) -> tuple[tuple[LabelledImages, str], tuple[LabelledImages, str]]:
    return (train, protocol.data.train_split), (test, protocol.data.test_split)


def _svm(cell: Cell, train: LabelledImages, features: Tensor, test: Tensor) -> tuple[Tensor, list[str]]:
    settings = _svm_settings(cell)
    vectors, queries = normalise(features.numpy()), normalise(test.numpy())
    scores, costs = score_svms(vectors, train.labels, queries, cell.data.categories, settings, cell.seed)
    chosen = ", ".join(f"{name} {cost:g}" for name, cost in zip(cell.data.categories, costs, strict=True))
    return torch.from_numpy(scores), [f"costs by {settings.folds}-fold cross-validation: {chosen}"]


def _low_shot(
    cell: Cell, train: LabelledImages, test: LabelledImages, features: Tensor, queries: Tensor, notes: list[str]
) -> Outcome:
    settings, rule = _svm_settings(cell), _settings_of(cell).settings.average_precision
    vectors = (normalise(features.numpy()), normalise(queries.numpy()))
    values = low_shot_map(
        vectors[0], train.labels, vectors[1], test.labels, cell.data.categories, settings, rule, cell.seed
    )
    means = {k: sum(found) / len(found) for k, found in values.items()}
    metrics: dict[str, float | None] = {f"mAP_k{k}": mean for k, mean in means.items()}
    metrics["mAP_low_shot"] = sum(means.values()) / len(means)
    told = "; ".join(f"k = {k}: {', '.join(f'{value:.2f}' for value in found)}" for k, found in values.items())
    notes = [*notes, f"{settings.samples} draws each, every one at its best cost on the test images: {told}"]
    return Outcome(metrics, len(train), len(test), {}, notes)


def _knn(cell: Cell, train: LabelledImages, features: Tensor, test: Tensor) -> tuple[Tensor, list[str]]:
    settings = _settings_of(cell).settings.knn
    k = min(settings.k, len(train))
    similarity, indices = (found.cpu() for found in nearest_neighbours(features.to(_device()), test.to(_device()), k))
    labels = torch.from_numpy(train.labels)[indices]
    scores = class_votes(similarity, labels, len(cell.data.categories), settings.temperature)
    return scores, [f"k lowered from {settings.k} to the {k} training images"] if k < settings.k else []


def _linear(cell: Cell, train: LabelledImages, features: Tensor, test: Tensor) -> tuple[Tensor, list[str]]:
    settings = _settings_of(cell).settings.linear_grid
    assert isinstance(settings, LinearGridSettings)
    out = choose(len(train), max(1, round(settings.holdout * len(train))))
    kept = sorted(set(range(len(train))) - set(out))
    if not kept:
        raise UserError(f"{len(train)} training images are too few to hold {settings.holdout:.0%} of them out")
    standardise_(features, test)
    labels, shown = torch.from_numpy(train.labels), features.to(_device())
    grid = fit_grid(
        shown, labels.to(_device()), len(cell.data.categories), settings, cell.seed, torch.tensor(kept)
    ).cpu()
    held = features[out]
    values = [
        top_k_accuracy(grid_scores(held, own), labels[out], 1) if bool(torch.isfinite(own).all()) else None
        for own in grid
    ]
    told = ", ".join(
        f"{rate:g}: {'diverged' if value is None else format(value, '.2f')}"
        for rate, value in zip(settings.learning_rates, values, strict=True)
    )
    if all(value is None for value in values):
        raise UserError(f"settings.linear_grid.learning_rates: every one diverged ({told}); lower them")
    best = max(range(len(values)), key=lambda index: -1.0 if values[index] is None else values[index] or 0.0)
    note = f"learning rate {settings.learning_rates[best]:g} chosen on {len(out)} training images held out ({told})"
    return grid_scores(test, grid[best]), [note]


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _settings_of(cell: Cell) -> ClassificationProtocol:
    assert isinstance(cell.protocol, ClassificationProtocol)
    return cell.protocol


def _svm_settings(cell: Cell) -> SVMSettings:
    settings = _settings_of(cell).settings.svm
    assert isinstance(settings, SVMSettings)
    return settings
