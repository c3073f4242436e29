"""Which slots of a dictionary are an image's positives where the nearest are not: the controls of MLS's pseudo-labels.

Pure functions of tensors. Shapes: B images, D slots, C categories. The method's own labels are
:func:`pretrain.losses.top_k_labels`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pretrain.dictionary import NO_IMAGE
from pretrain.distributed import own_rows, world_size
from pretrain.losses import top_k_labels

_UNITS = 1024  # to a weight of 1: whole numbers add up to the same in any order, on any device


def labels_of_slots(image_labels: Tensor, image_ids: Tensor) -> Tensor:
    """Which categories the image of each slot holds; none where the slot holds no image yet.

    Args:
        image_labels: bool, N x C.
        image_ids: int64, D, of a dictionary.

    Returns:
        bool, D x C.
    """
    return image_labels[image_ids.clamp(min=0)] & (image_ids != NO_IMAGE)[:, None]


def random_labels(rows: int, slots: int, k: int, excluded: Tensor | None = None) -> Tensor:
    """k slots of each image drawn at random, whatever they hold.

    Drawn on the CPU from torch's generator, for the images of all processes: the same on every device and in any number
    of processes, and part of the checkpoint.

    Args:
        rows: B, of this process.
        slots: D.
        k, excluded: as of :func:`pretrain.losses.top_k_labels`.

    Returns:
        bool, B x D, where ``excluded`` is, or on the CPU.
    """
    draws = own_rows(torch.rand(rows * world_size(), slots))
    device = draws.device if excluded is None else excluded.device
    return top_k_labels(draws.to(device, non_blocking=True), k, excluded)


def rarity(labels: Tensor) -> Tensor:
    """The weight of each category: how many images there are to one that holds it (inverse frequency).

    Args:
        labels: 0/1 or bool, N x C: which categories each image holds.

    Returns:
        int64, C, in 1024ths; 0 where no image holds the category.
    """
    holding = labels.sum(dim=0, dtype=torch.float64)
    weights = (len(labels) * _UNITS / holding.clamp(min=1)).round()
    return (weights * (holding > 0)).long()


def shared_weight(query_labels: Tensor, slot_labels: Tensor, weights: Tensor) -> Tensor:
    """What an image and a slot have in common: the sum of the weights of the categories that both hold.

    Args:
        query_labels, slot_labels: bool, B x C and D x C.
        weights: int64, C, not negative; of :func:`rarity`.

    Returns:
        float64, B x D, whole numbers.
    """
    return (query_labels.double() * weights.double()) @ slot_labels.double().T


def oracle_scores(query_labels: Tensor, slot_labels: Tensor, weights: Tensor, ages: Tensor) -> Tensor:
    """A rank of the slots by what they have in common with the image; of equal ones the youngest key comes first.

    Args:
        query_labels, slot_labels, weights: as of :func:`shared_weight`; a slot that holds no image has no category.
        ages: int64, D, a permutation of 0..D-1: 0 for the slot that was written last.

    Returns:
        float64, B x D: whole numbers, all different within a row, so that any way of sorting gives one order; below D
        exactly where there is nothing in common.
    """
    slots = len(ages)
    return shared_weight(query_labels, slot_labels, weights) * slots + (slots - 1 - ages)


def oracle_labels(
    query_labels: Tensor, slot_labels: Tensor, weights: Tensor, ages: Tensor, k: int, excluded: Tensor | None = None
) -> Tensor:
    """The k slots that have most in common with each image by the truth; never one that has nothing in common.

    Args:
        query_labels, slot_labels, weights, ages: as of :func:`oracle_scores`.
        k, excluded: as of :func:`pretrain.losses.top_k_labels`.

    Returns:
        bool, B x D, with fewer than k ones in a row that has less in common.
    """
    scores = oracle_scores(query_labels, slot_labels, weights, ages)
    return top_k_labels(scores, k, excluded) & (scores >= len(ages))
