"""How good pseudo-labels and saliency maps are, where the truth is known: pure functions of tensors.

Nothing here takes part in training. Shapes: B queries, D slots of a dictionary, C categories, N images.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.pseudo_labels import shared_weight


@dataclass(frozen=True)
class PseudoLabelQuality:
    """Means over the queries that hold a category, shares in 0..1; NaN where no query counts.

    Attributes:
        precision: of the k picked slots, those that have a category in common with the query.
        recall: of the slots that have one in common, those that were picked (over queries that have such slots).
        weighed_precision: how much of the query's categories the picks hold, by rarity: of a pick
            ``sum of w_c over the categories in common / sum of w_c over the query's``, its mean over the k picks.
        chance_precision, chance_recall, chance_weighed_precision: the same of k slots picked at random.
    """

    k: int
    precision: float
    recall: float
    weighed_precision: float
    chance_precision: float
    chance_recall: float
    chance_weighed_precision: float


@torch.no_grad()
def pseudo_label_quality(
    scores: Tensor, query_labels: Tensor, slot_labels: Tensor, excluded: Tensor, ks: list[int], weights: Tensor
) -> list[PseudoLabelQuality]:
    """How often the nearest slots share a category with their query, for every k of ``ks``.

    Args:
        scores: B x D; the k highest are picked.
        query_labels, slot_labels: bool, B x C and D x C; a slot that holds no image has no category, and counts as
            wrong where it is picked.
        excluded: bool, B x D: slots that cannot be picked (of the query's own image).
        ks: each at least 1. A query with fewer than k slots left is picked all of them.
        weights: C, positive where a query holds the category; :func:`pretrain.pseudo_labels.rarity`.
    """
    scores, counted = scores.double(), query_labels.any(dim=1)
    eligible = ~excluded
    related = (query_labels.double() @ slot_labels.double().T > 0) & eligible
    most_shared = shared_weight(query_labels, query_labels.any(dim=0)[None], weights)  # of all its categories
    shared = shared_weight(query_labels, slot_labels, weights) / most_shared.clamp(min=1) * eligible
    available, wanted = eligible.sum(dim=1).double(), related.sum(dim=1).double()
    most = min(max(ks), scores.shape[1])
    order = scores.masked_fill(excluded, -torch.inf).topk(most, dim=1).indices
    hits = related.gather(1, order).double().cumsum(dim=1)
    held = shared.gather(1, order).cumsum(dim=1)
    qualities = []
    for k in ks:
        picked = available.clamp(max=min(k, most))
        found = hits[:, min(k, most) - 1]
        has_related = counted & (wanted > 0)
        qualities.append(
            PseudoLabelQuality(
                k,
                precision=_mean(found / picked, counted & (picked > 0)),
                recall=_mean(found / wanted, has_related),
                weighed_precision=_mean(held[:, min(k, most) - 1] / picked, counted & (picked > 0)),
                chance_precision=_mean(wanted / available, counted & (available > 0)),
                chance_recall=_mean(picked / available, has_related),
                chance_weighed_precision=_mean(shared.sum(dim=1) / available, counted & (available > 0)),
            )
        )
    return qualities


@torch.no_grad()
def category_precision(
    scores: Tensor, query_labels: Tensor, slot_labels: Tensor, excluded: Tensor, k: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the picks of the queries that hold category c, the share that holds c too.

    Args:
        scores, query_labels, slot_labels, excluded: as of :func:`pseudo_label_quality`.

    Returns:
        Of each category, C each: that share, the share by chance (of the slots that could be picked), both float64 and
        NaN where no query holds c, and the number of such queries.
    """
    eligible = (~excluded).double()
    order = scores.double().masked_fill(excluded, -torch.inf).topk(min(k, scores.shape[1]), dim=1).indices
    picked = torch.zeros_like(eligible).scatter(1, order, 1.0) * eligible
    queries, slots = query_labels.double(), slot_labels.double()
    holding = queries.sum(dim=0)
    precision = (queries * (picked @ slots) / picked.sum(dim=1, keepdim=True)).sum(dim=0) / holding
    chance = (queries * (eligible @ slots) / eligible.sum(dim=1, keepdim=True)).sum(dim=0) / holding
    return precision, chance, holding.long()


@dataclass(frozen=True)
class SaliencyQuality:
    """Means over images, shares in 0..1.

    Attributes:
        iou: of the pixels whose value is at least the map's mean, with the objects'.
        pointing: how often the map's highest place lies on an object (a tie counts by its share on objects).
        chance_iou: of a region of the same size that knows nothing, p m / (p + m - p m).
        chance_pointing: of a random place, which is the objects' share of the image.
        map_area, object_area: shares of the image.
        mass: the share of the map's sum that lies on the objects; of a uniform map ``object_area``.
    """

    iou: float
    pointing: float
    chance_iou: float
    chance_pointing: float
    map_area: float
    object_area: float
    mass: float


@torch.no_grad()
def saliency_quality(maps: Tensor, masks: Tensor) -> SaliencyQuality:
    """A map against the union of object masks. The map's own mean is the threshold, so that none has to be chosen.

    Args:
        maps: in 0..1, N x h x w; enlarged to the masks' size, bilinearly.
        masks: bool, N x H x W, each with at least one pixel.
    """
    enlarged = F.interpolate(maps.double()[:, None], size=masks.shape[1:], mode="bilinear", align_corners=False)[:, 0]
    threshold = enlarged.mean(dim=(1, 2), keepdim=True)
    salient = enlarged >= threshold * (1 - 1e-9)  # of a constant map, everything
    both = (salient & masks).sum(dim=(1, 2)).double()
    either = (salient | masks).sum(dim=(1, 2)).double()
    highest = (enlarged >= enlarged.amax(dim=(1, 2), keepdim=True) * (1 - 1e-9)).double()
    pointing = (highest * masks).sum(dim=(1, 2)) / highest.sum(dim=(1, 2))
    p, m = salient.double().mean(dim=(1, 2)), masks.double().mean(dim=(1, 2))
    return SaliencyQuality(
        iou=float((both / either).mean()),
        pointing=float(pointing.mean()),
        chance_iou=float((p * m / (p + m - p * m)).mean()),
        chance_pointing=float(m.mean()),
        map_area=float(p.mean()),
        object_area=float(m.mean()),
        mass=float(((enlarged * masks).sum(dim=(1, 2)) / enlarged.sum(dim=(1, 2)).clamp(min=1e-12)).mean()),
    )


def _mean(values: Tensor, counted: Tensor) -> float:
    return float(values[counted].mean()) if bool(counted.any()) else float("nan")
