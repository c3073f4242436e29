"""Saliency maps, box scores and loss weights of saliency-guided contrastive learning, as pure functions.

A re-implementation from the abstract of Chen et al., arXiv 2302.11461 (nothing else of it is known to us): the model's
own activations guide the crops and weigh their losses; the formulas are this suite's. Boxes are xyxy shares of the
whole image, so that they fit a map of any size.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6


def activation_maps(feature_maps: Tensor) -> Tensor:
    """``A_p = sum_c F_cp``, scaled to 0..1 over each image: ``(A - min) / (max - min + 1e-6)``.

    Args:
        feature_maps: post-ReLU maps of the last stage, N x C x h x w.

    Returns:
        float32, N x h x w, in [0, 1]. An image whose activations are constant or not finite says nothing about where to
        look: its map is 1 everywhere.
    """
    sums = feature_maps.float().sum(dim=1)
    finite = torch.isfinite(sums).flatten(1).all(dim=1)
    sums = torch.where(finite[:, None, None], sums, torch.zeros_like(sums))
    low = sums.amin(dim=(1, 2), keepdim=True)
    span = sums.amax(dim=(1, 2), keepdim=True) - low
    flat = span <= EPSILON * sums.abs().amax(dim=(1, 2), keepdim=True)
    maps = (sums - low) / (span + EPSILON)
    return torch.where(flat, torch.ones_like(maps), maps).clamp(0, 1)


def to_uint8(maps: Tensor) -> Tensor:
    """Maps in [0, 1] to the cache's 8 bits; h * w bytes an image (5.8 MB for COCO at 7 x 7)."""
    return (maps * 255).round().clamp(0, 255).to(torch.uint8)


def to_float(maps: Tensor) -> Tensor:
    """The cache's 8 bits to float32 in [0, 1]."""
    return maps.float() / 255


def shuffled_maps(maps: Tensor, rng: np.random.Generator) -> Tensor:
    """The control "another image's map": a permutation of N x h x w that leaves no image its own (N > 1)."""
    cycle = rng.permutation(len(maps))
    source = np.empty_like(cycle)
    source[cycle] = np.roll(cycle, 1)
    return maps[torch.from_numpy(source).to(maps.device)]


def random_maps(count: int, size: tuple[int, int], rng: np.random.Generator) -> Tensor:
    """The control "noise": uint8, count x h x w, independent and uniform."""
    return torch.from_numpy(rng.integers(0, 256, (count, *size), dtype=np.uint8))


def box_scores(maps: Tensor, boxes: Tensor) -> Tensor:
    """``s(B)``: the mean of the map inside each box, by an integral image.

    The map is constant within a cell and boxes may end anywhere in a cell, so the integral is exact: the cumulative sum
    is interpolated linearly. Computed in float64, since it takes differences of sums.

    Args:
        maps: N x h x w, values in [0, 1].
        boxes: N x M x 4, xyxy in [0, 1], of positive area.

    Returns:
        float32, N x M, in [0, 1].
    """
    height, width = maps.shape[1:]
    integral = F.pad(maps.double().cumsum(dim=1).cumsum(dim=2), (1, 0, 1, 0))  # N x (h+1) x (w+1)
    boxes = boxes.double()
    left, top, right, bottom = boxes.unbind(dim=2)

    def at(x: Tensor, y: Tensor) -> Tensor:
        x, y = x * width, y * height
        column, row = x.floor().long().clamp(0, width - 1), y.floor().long().clamp(0, height - 1)
        dx, dy = x - column, y - row
        image = torch.arange(len(maps), device=maps.device)[:, None]
        upper = torch.lerp(integral[image, row, column], integral[image, row, column + 1], dx)
        lower = torch.lerp(integral[image, row + 1, column], integral[image, row + 1, column + 1], dx)
        return torch.lerp(upper, lower, dy)

    total = at(right, bottom) - at(left, bottom) - at(right, top) + at(left, top)
    area = (right - left) * (bottom - top) * (height * width)
    return (total / area.clamp(min=1e-12)).clamp(0, 1).float()


def pair_scores(maps: Tensor, boxes: Tensor) -> Tensor:
    """``s_k = sqrt(s(B_k) s(B'_k))`` of anchor and partner.

    Args:
        maps: N x h x w in [0, 1].
        boxes: N x K x 2 x 4.

    Returns:
        float32, N x K, in [0, 1].
    """
    images, pairs = boxes.shape[:2]
    scores = box_scores(maps, boxes.reshape(images, pairs * 2, 4)).reshape(images, pairs, 2)
    return scores.prod(dim=2).sqrt()


def loss_weights(scores: Tensor, beta: float, normalise: str = "image", epsilon: float = EPSILON) -> Tensor:
    """``w_k = s_k^beta / mean_j s_j^beta``, without gradient.

    Where the mean is not above ``epsilon`` every weight is 1. (The written formula adds epsilon to the mean; a floor
    keeps the mean weight at exactly 1, which is what epsilon must not disturb.)

    Args:
        scores: N x K, in [0, 1].
        beta: 0 gives exactly 1 everywhere.
        normalise: ``image``: the mean is over the K pairs of an image; ``batch``: over all of them.

    Returns:
        N x K, mean 1 per image (or over the batch), of the scores' type.
    """
    if beta == 0:
        return torch.ones_like(scores)
    powers = scores.detach() ** beta
    mean = powers.mean(dim=1, keepdim=True) if normalise == "image" else powers.mean().expand(len(powers), 1)
    return torch.where(mean > epsilon, powers / mean.clamp(min=epsilon), torch.ones_like(powers))


def attention_maps(attention: Tensor) -> Tensor:
    """A vision transformer's attention scaled to 0..1 over each image: ``(a - min) / (max - min)``.

    Nothing is added to the span, as :func:`activation_maps` does: attentions sum to at most 1, so that over many
    patches 1e-6 would not be small beside it.

    Args:
        attention: of the class token to the patches, averaged over the heads, N x h x w, at least 0
            (:meth:`transfer.vit.VisionTransformer.attention_map`).

    Returns:
        float32, N x h x w, in [0, 1]. An image whose attention is constant or not finite says nothing about where to
        look: its map is 1 everywhere.
    """
    values = attention.float()
    finite = torch.isfinite(values).flatten(1).all(dim=1)
    values = torch.where(finite[:, None, None], values, torch.zeros_like(values))
    low = values.amin(dim=(1, 2), keepdim=True)
    high = values.amax(dim=(1, 2), keepdim=True)
    flat = high - low <= EPSILON * high
    maps = (values - low) / torch.where(flat, torch.ones_like(high), high - low)
    return torch.where(flat, torch.ones_like(maps), maps).clamp(0, 1)
