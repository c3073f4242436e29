"""How well saliency maps fit what people find salient: maps against masks, as pure functions, and maps to compare with.

Conventions, of which there are several in use:

* A map is enlarged bilinearly to its mask, then brought to 0..1 by its least and largest value. A map that is constant
  or not finite says nothing of where to look, and counts as 1 everywhere, as it does in training.
* A high value means salient. A map is never inverted: an AUC below .5 is that of a map that is dark where people look.
* Maximal F-measure: of every image the curve of F (beta^2 = .3) over the 256 thresholds of a map of 8 bits; the mean of
  these curves over the images; its maximum. So one threshold serves all images (a maximum for each would be higher),
  and F is formed before the mean (older tools form it of mean precision and mean recall).
* MAE: mean distance of map and mask over the pixels, then over the images.
* AUC: the area under the ROC curve with the pixels of the mask as positives and all others as negatives, ties counted
  as half; of every image, then the mean. It is what AUC-Judd's random jitter of ties gives on average, but for
  AUC-Judd's trapezia, which add at most 1 / (2 positives).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

BETA_SQUARED = 0.3
LEVELS = 256
CENTRE_SIGMA = 0.25
"""Standard deviation of the centre prior, as a share of each side. Order, and with it AUC, does not depend on it."""
_CONSTANT = 1e-6


@dataclass(frozen=True)
class SalientQuality:
    """Of maps against masks: shares in 0..1. ``mae`` is better when it is lower."""

    max_f: float
    mae: float
    auc: float


@torch.no_grad()
def salient_quality(maps: Sequence[Tensor], masks: Sequence[Tensor]) -> SalientQuality:
    """All measures of this module.

    Args:
        maps: one for each image, h x w, of any size and range.
        masks: bool, H x W, each with at least one pixel inside and one outside.
    """
    curves, distances, areas = [], [], []
    for one, mask in zip(maps, masks, strict=True):
        shown = unit_map(enlarged(one, mask.shape))
        curves.append(f_curve(shown, mask))
        distances.append(mean_absolute_error(shown, mask))
        areas.append(rank_auc(shown, mask))
    return SalientQuality(
        max_f=float(torch.stack(curves).mean(dim=0).max()),
        mae=sum(distances) / len(distances),
        auc=sum(areas) / len(areas),
    )


def enlarged(one: Tensor, size: Sequence[int]) -> Tensor:
    """The map at ``size`` (H, W), bilinearly, its corners those of the image: float, H x W."""
    if tuple(one.shape) == tuple(size):
        return one.float() if not one.is_floating_point() else one
    values = one.float()[None, None]
    return F.interpolate(values, size=tuple(size), mode="bilinear", align_corners=False)[0, 0]


def unit_map(one: Tensor) -> Tensor:
    """``(S - min) / (max - min)``; 1 everywhere where S is constant (to rounding) or not finite. H x W."""
    if not bool(torch.isfinite(one).all()):
        return torch.ones_like(one)
    low, high = torch.aminmax(one)
    if float(high - low) <= _CONSTANT * float(one.abs().max()):
        return torch.ones_like(one)
    return (one - low) / (high - low)


def f_curve(one: Tensor, mask: Tensor) -> Tensor:
    """``F = 1.3 P R / (.3 P + R)`` of the pixels at or above each threshold of an 8-bit map; 0 where none is right.

    Args:
        one: H x W, in 0..1; rounded down to 255ths.
        mask: bool, H x W.

    Returns:
        float64, 256: at thresholds 0, 1/255 .. 1.
    """
    levels = (one * (LEVELS - 1)).long().flatten() + LEVELS * mask.long().flatten()
    counts = torch.bincount(levels, minlength=2 * LEVELS).double().view(2, LEVELS)
    outside, inside = counts.flip(1).cumsum(dim=1).flip(1)  # at or above each level
    precision = inside / (inside + outside).clamp(min=1)
    recall = inside / inside[0].clamp(min=1)
    weighted = BETA_SQUARED * precision + recall
    return (1 + BETA_SQUARED) * precision * recall / weighted.clamp(min=1e-300)


def mean_absolute_error(one: Tensor, mask: Tensor) -> float:
    """Mean of ``|S - G|`` over the pixels: S in 0..1, G 0 or 1."""
    return float((one - mask.to(one.dtype)).abs().double().mean())


def rank_auc(one: Tensor, mask: Tensor) -> float:
    """The probability that a pixel of the mask has a higher value than one outside, ties counted as half.

    Args:
        one: H x W, finite.
        mask: bool, H x W, with pixels inside and outside.
    """
    inside, outside = one[mask].sort().values, one[~mask].contiguous()
    below = torch.searchsorted(inside, outside).double().sum()  # positives below each negative
    at_most = torch.searchsorted(inside, outside, right=True).double().sum()
    lost = (below + at_most) / 2
    return 1.0 - float(lost) / (len(inside) * len(outside))


def centre_prior(size: Sequence[int]) -> Tensor:
    """A Gaussian in the middle of the image, stretched to its sides: float64, H x W. See :data:`CENTRE_SIGMA`."""
    rows, columns = (
        torch.exp(-(((torch.arange(side, dtype=torch.float64) + 0.5) / side - 0.5) ** 2) / (2 * CENTRE_SIGMA**2))
        for side in size
    )
    return rows[:, None] * columns[None]


def in_cells(mask: Tensor, cells: tuple[int, int]) -> Tensor:
    """The mask as a map of so many cells: the share of each that it covers, float32 h x w.

    About the most that a map of this size can say. Cells end at whole pixels, so that neighbours may share some.
    """
    return F.adaptive_avg_pool2d(mask.float()[None, None], cells)[0, 0]
