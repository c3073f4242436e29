"""The labelled images that a protocol trains, chooses and tests on."""

from __future__ import annotations

import numpy as np

from benchmarks.classification.images import LabelledImages, from_samples
from benchmarks.classification.lists import read_train_list
from benchmarks.classification.low_shot import draw_images
from benchmarks.evaluation.cell import Cell
from benchmarks.evaluation.inputs import choose_images
from benchmarks.evaluation.official import OfficialFolder
from benchmarks.frozen.feature_cache import stamp_of
from benchmarks.protocols.classification import LowShotSettings
from benchmarks.protocols.protocol import ClassificationProtocol
from scenebench.errors import UserError
from scenebench.mean_average_precision import POSITIVE


def wants_multilabel(protocol: ClassificationProtocol) -> bool:
    """Whether an image may hold several classes, by the metrics.

    Raises:
        UserError: metrics of both kinds.
    """
    kinds = {metric.startswith("mAP") for metric in protocol.metrics}
    if len(kinds) != 1:
        raise UserError(
            f"metrics: {', '.join(protocol.metrics)}: give those of several classes an image (mAP...) or those of one "
            "(top1, top5, ...)"
        )
    return kinds.pop()


def train_images(cell: Cell) -> LabelledImages:
    """The training split, or what ``settings.train_list`` names or ``settings.train_share`` draws of it.

    A draw depends on the number of images and the seed of the run alone: of one seed all backbones get the same images.

    Raises:
        UserError: no such split or list, labels of the other kind, or a draw without any positive label.
    """
    protocol = cell.protocol
    assert isinstance(protocol, ClassificationProtocol)
    name, share = protocol.settings.train_list, protocol.settings.train_share
    if not name:
        images = split_images(cell, protocol.data.train_split, protocol.data.max_train_images)
        return images if not share else _draw(images, share, cell.seed, protocol.data.train_split)
    if protocol.data.dataset != "imagenet":
        raise UserError(f"settings.train_list: lists are of imagenet, and data.dataset is '{protocol.data.dataset}'")
    samples = read_train_list(cell.data.root, name)
    images = from_samples(samples, cell.data.categories, False, f"{cell.data.root}: {name}")
    return images.limited(protocol.data.max_train_images, name)


def _draw(images: LabelledImages, share: float, seed: int, split: str) -> LabelledImages:
    chosen = draw_images(images.labels, LowShotSettings(share=share), seed)
    drawn = images.subset(chosen.tolist())
    if not (drawn.labels == POSITIVE).any() and drawn.multilabel:
        raise UserError(
            f"settings.train_share: {share:g} of split '{split}', {len(drawn)} images, hold no class; raise it"
        )
    note = f"{len(drawn)} of the {len(images)} images of split '{split}' have labels (drawn by seed {seed})"
    return LabelledImages(drawn.paths, drawn.labels, drawn.fingerprint, (*drawn.notes, note))


def split_images(cell: Cell, split: str, limit: int | None) -> LabelledImages:
    """One split, or the fixed choice of ``limit`` of it.

    Raises:
        UserError: no such split, it is empty, or labels of the other kind.
    """
    protocol, data = cell.protocol, cell.data
    assert isinstance(protocol, ClassificationProtocol)
    multilabel = wants_multilabel(protocol)
    if isinstance(data, OfficialFolder):
        samples = data.official.split(split)
        return from_samples(samples, data.categories, multilabel, f"{data.root}: split '{split}'").limited(limit, split)
    if not multilabel:
        raise UserError(
            f"{data.root}: a prepared data set has any number of categories an image; protocol '{protocol.id}' wants "
            "one: name the official data set with data.dataset="
        )
    _, paths = choose_images(data, split, None)
    labels = data.multilabel(split).astype(np.int8)
    return LabelledImages(paths, labels, stamp_of(paths)).limited(limit, split)
