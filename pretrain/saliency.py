"""Saliency maps, box scores and loss weights of saliency-guided contrastive learning, as pure functions.

A re-implementation from the abstract of Chen et al., arXiv 2302.11461 (nothing else of it is known to us): the model's
own activations guide the crops and weigh their losses; the formulas are this suite's. Boxes are xyxy shares of the
whole image, so that they fit a map of any size.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    return unit_range(feature_maps.float().sum(dim=1))


def unit_range(maps: Tensor) -> Tensor:
    """``(A - min) / (max - min + 1e-6)`` over each image; 1 everywhere where A is constant or not finite.

    Args:
        maps: float32, N x h x w.
    """
    finite = torch.isfinite(maps).flatten(1).all(dim=1)
    maps = torch.where(finite[:, None, None], maps, torch.zeros_like(maps))
    low = maps.amin(dim=(1, 2), keepdim=True)
    span = maps.amax(dim=(1, 2), keepdim=True) - low
    flat = span <= EPSILON * maps.abs().amax(dim=(1, 2), keepdim=True)
    scaled = (maps - low) / (span + EPSILON)
    return torch.where(flat, torch.ones_like(scaled), scaled).clamp(0, 1)


def contrastive_scores(embeddings: Tensor, negatives: Tensor, temperature: float, excluded: Tensor) -> Tensor:
    """``s = z . z' / tau - log sum_j exp(z . n_j / tau)``, z' being z without gradient; for :func:`contracam_maps`.

    At z' = z the cosine is at its maximum, so the first term has no gradient: a CAM of s shows what tells the image
    from the negatives. It is computed as the constant that it is (left to autograd, its rounding errors would be all
    that an image without negatives has). It makes s what it is called: how much better the image fits itself than the
    others, as a logarithm.

    Args:
        embeddings: z, unit rows, N x d.
        negatives: n, unit rows, D x d.
        temperature: tau, positive.
        excluded: bool, N x D: slots that are no negatives of that row. Where all are, s is the constant.

    Returns:
        N; row n depends on embedding n alone.
    """
    own = embeddings.detach().square().sum(dim=1) / temperature
    logits = (embeddings @ negatives.T / temperature).masked_fill(excluded, -torch.inf)
    alone = excluded.all(dim=1)
    others = torch.logsumexp(logits.masked_fill(alone[:, None], 0.0), dim=1)
    return own - others.masked_fill(alone, 0.0)


def contracam_maps(feature_maps: Tensor, scores: Callable[[Tensor], Tensor]) -> Tensor:
    """The gradient CAM of a score: ``ReLU(sum_c w_c F_cp)``, scaled to 0..1 over each image.

    ``w_c`` is the mean over the cells of ``d s / d F_cp``. (Mo et al., "Object-aware contrastive learning for debiased
    scene representation", NeurIPS 2021, also cut off negative w_c and repeat with the found object masked; this is one
    plain Grad-CAM.) A CAM has no unit, so it is divided by its largest value before the range is scaled: the 1e-6 there
    must not flatten an image whose gradient is small.

    Args:
        feature_maps: post-ReLU maps of the last stage, N x C x h x w.
        scores: from such maps to N scores, each of its own image alone, differentiable. Its parameters get no gradient.

    Returns:
        float32, N x h x w, in [0, 1]; 1 everywhere where the CAM is constant or not finite, so where nothing speaks for
        any place.
    """
    with torch.enable_grad():
        features = feature_maps.detach().clone().requires_grad_()
        (gradients,) = torch.autograd.grad(scores(features).sum(), features)
    cams = (gradients.mean(dim=(2, 3), keepdim=True) * features.detach()).sum(dim=1).relu().float()
    largest = cams.amax(dim=(1, 2), keepdim=True)
    return unit_range(torch.where(largest > 0, cams / largest, cams))


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


def map_entropies(maps: Tensor) -> Tensor:
    """How far each map is spread out: the entropy of ``S / sum S`` over its cells, as a share of the largest.

    Args:
        maps: not negative, N x h x w.

    Returns:
        float32, N: 1 of a uniform map (and of one that is 0 everywhere, which counts as uniform), 0 of a single cell.
    """
    values = maps.double().flatten(1)
    if values.shape[1] == 1:
        return torch.ones(len(values), device=maps.device)
    total = values.sum(dim=1, keepdim=True)
    shares = torch.where(total > 0, values / total.clamp(min=1e-300), torch.ones_like(values) / values.shape[1])
    return (torch.special.entr(shares).sum(dim=1) / math.log(values.shape[1])).clamp(0, 1).float()


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


def loss_weights(
    scores: Tensor,
    beta: float,
    normalise: str = "image",
    epsilon: float = EPSILON,
    everybody: Tensor | None = None,
) -> Tensor:
    """``w_k = s_k^beta / mean_j s_j^beta``, without gradient.

    Where the mean is not above ``epsilon`` every weight is 1. (The written formula adds epsilon to the mean; a floor
    keeps the mean weight at exactly 1, which is what epsilon must not disturb.)

    Args:
        scores: N x K, in [0, 1].
        beta: 0 gives exactly 1 everywhere.
        normalise: ``image``: the mean is over the K pairs of an image; ``batch``: over all of them.
        everybody: for ``batch``: the scores of the whole batch, where ``scores`` are one process's rows of it.

    Returns:
        N x K, mean 1 per image (or over the batch), of the scores' type.
    """
    if beta == 0:
        return torch.ones_like(scores)
    powers = scores.detach() ** beta
    if normalise == "image":
        mean = powers.mean(dim=1, keepdim=True)
    else:
        mean = (scores if everybody is None else everybody).detach().pow(beta).mean().expand(len(powers), 1)
    return torch.where(mean > epsilon, powers / mean.clamp(min=epsilon), torch.ones_like(powers))


def attention_maps(attention: Tensor) -> Tensor:
    """A vision transformer's attention scaled to 0..1 over each image: ``(a - min) / (max - min)``.

    Nothing is added to the span, as :func:`activation_maps` does: attentions sum to at most 1, so that over many
    patches 1e-6 would not be small beside it.

    Args:
        attention: of the class token to the patches, averaged over the heads, N x h x w, at least 0
            (:meth:`transfer.networks.vit.VisionTransformer.attention_map`).

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
