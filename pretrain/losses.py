"""The losses of MoCo-v2, MLS and BYOL as pure functions of tensors.

Equation numbers are those of MLS (Zhu, Fu, Wu, ICCV 2023). Shapes: B images in the batch, D slots in a dictionary, d
dimensions. Everything is computed in float32 whatever autocast says (float64 stays float64): D sigmoids of logits
divided by 0.2 lose the small probabilities of negatives in bfloat16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec

import torch
import torch.nn.functional as F
from torch import Tensor

from pretrain.distributed import mean_over_processes

P = ParamSpec("P")


def full_precision(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """Run ``function`` outside autocast, its half-precision tensor arguments raised to float32."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device = tensors[0].device.type if tensors else "cpu"
        with torch.autocast(device, enabled=False):
            return function(
                *(_raised(value) for value in args),  # type: ignore[arg-type]
                **{key: _raised(value) for key, value in kwargs.items()},  # type: ignore[arg-type]
            )

    return wrapper


def _raised(value: object) -> object:
    if isinstance(value, Tensor) and value.dtype in (torch.float16, torch.bfloat16):
        return value.float()
    return value


@full_precision
def normalise(vectors: Tensor) -> Tensor:
    """L2-normalised rows, B x d; a zero row stays zero."""
    return F.normalize(vectors, dim=1)


@full_precision
def info_nce(query: Tensor, key: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE of each image against its own key and the negatives of a queue, eq. (1).

    Args:
        query: unit rows, B x d; the gradient's way.
        key: unit rows, B x d, the positive of the same row.
        queue: unit rows, D x d, all negatives.
        temperature: tau, positive.

    Returns:
        The loss of each image, B (the batch loss is its mean).
    """
    positive = (query * key).sum(dim=1, keepdim=True)
    negatives = query @ queue.T
    logits = torch.cat([positive, negatives], dim=1) / temperature
    return torch.logsumexp(logits, dim=1) - logits[:, 0]


@full_precision
def byol_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """``2 (1 - cos)`` of each row, eq. (2) of BYOL (Grill et al., 2020): the squared distance of the unit vectors.

    Args:
        prediction: the predictor's output for one view, B x d, of any length; the gradient's way.
        target: the target encoder's embedding of the other view, B x d, of any length; the caller's to detach.

    Returns:
        The loss of each image, B, in [0, 4]; 2 where a row is zero.
    """
    return 2 - 2 * (normalise(prediction) * normalise(target)).sum(dim=1)


@full_precision
def similarities(vectors: Tensor, dictionary: Tensor) -> Tensor:
    """Cosine of every row with every slot, the products of eq. (7) and (8): B x D for unit rows and unit slots."""
    return vectors @ dictionary.T


def top_k_labels(scores: Tensor, k: int, excluded: Tensor | None = None) -> Tensor:
    """Pseudo-labels ``y = IsTopk(g1 . Q_g)``, eq. (7).

    Args:
        scores: B x D.
        k: ones in each row, 1 <= k <= D.
        excluded: bool, B x D: slots that may not be positive. A row with fewer than k others gets fewer ones.

    Returns:
        bool, B x D. Never carries a gradient.
    """
    scores = scores.detach()
    if excluded is not None:
        scores = scores.masked_fill(excluded, -torch.inf)
    best = scores.topk(k, dim=1).indices
    labels = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, best, True)
    return labels if excluded is None else labels & ~excluded


REDUCTIONS = ("mean", "sum", "balanced")
"""From the losses of B x D entries to one number (:func:`multi_label_bce`)."""


@full_precision
def multi_label_bce(
    scores: Tensor, labels: Tensor, temperature: float, excluded: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """The multi-label loss of MLS, eq. (9): binary cross-entropy of ``sigma(p / tau)``, no bias, no margin.

    Args:
        scores: p = z1 . Q_z, B x D.
        labels: bool, B x D.
        excluded: bool, B x D: entries that count neither as positive nor as negative, in no mean.
        reduction: one of :data:`REDUCTIONS`. mean: over B and D, eq. (9) as printed. sum: over D, then the mean over
            the B images. balanced: half the mean over all positives of the batch, and half that over all negatives; a
            batch without any of one kind has 0 in its place.
    """
    losses = F.binary_cross_entropy_with_logits(scores / temperature, labels.to(scores.dtype), reduction="none")
    return _reduced(losses, labels, excluded, reduction)


@full_precision
def multi_label_bce_positives(
    scores: Tensor, labels: Tensor, temperature: float, excluded: Tensor | None = None, reduction: str = "mean"
) -> Tensor:
    """Only the term ``y log sigma(p / tau)`` of eq. (9), the row "BCE-pos" of table 6.

    It is what positives have of :func:`multi_label_bce` under the same reduction: still divided by B and D (mean), or
    by B (sum), or half the mean over the positives (balanced).
    """
    losses = -F.logsigmoid(scores / temperature) * labels.to(scores.dtype)
    return _reduced(losses, labels, excluded, reduction)


@full_precision
def knn_softmax(scores: Tensor, labels: Tensor, temperature: float, excluded: Tensor | None = None) -> Tensor:
    """Eq. (2), the row "kNN softmax" of table 6, in the form its source (reference [36] of MLS) computes.

    The log-softmax is over the dictionary's slots only (the own key is not among them), averaged over the positives of
    an image, then over the batch. An image without a positive contributes 0.
    """
    logits = scores / temperature
    if excluded is not None:
        logits = logits.masked_fill(excluded, -torch.inf)
    log_probabilities = torch.log_softmax(logits, dim=1).masked_fill(~labels, 0.0)
    return -(log_probabilities.sum(dim=1) / labels.sum(dim=1).clamp(min=1)).mean()


def _reduced(losses: Tensor, labels: Tensor, excluded: Tensor | None, reduction: str) -> Tensor:
    if reduction == "mean":
        return losses.mean() if excluded is None else _mean(losses, ~excluded)
    kept = torch.ones_like(labels) if excluded is None else ~excluded
    if reduction == "sum":
        return (losses * kept).sum(dim=1).mean()
    if reduction == "balanced":
        return (_mean(losses, labels & kept) + _mean(losses, ~labels & kept)) / 2
    raise ValueError(f"reduction '{reduction}' is none of {REDUCTIONS}")


def _mean(losses: Tensor, counted: Tensor) -> Tensor:
    """Over the entries that count, of all processes: each has another number of them."""
    kept = counted.to(losses.dtype)
    return (losses * kept).sum() / mean_over_processes(kept.sum()).clamp(min=1)
