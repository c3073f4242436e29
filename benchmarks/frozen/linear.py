"""A linear probe: multi-label logistic regression fitted to convergence, so that there is no schedule to tune."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Standardisation:
    """Mean 0 and variance 1 by the statistics of the training features; a constant feature becomes 0."""

    mean: Tensor
    std: Tensor

    @classmethod
    def of(cls, features: Tensor) -> Standardisation:
        """Statistics of N x C features, in float64."""
        values = features.double()
        std = values.std(dim=0, unbiased=False)
        return cls(values.mean(dim=0), torch.where(std > 1e-12, std, torch.inf))

    def __call__(self, features: Tensor) -> Tensor:
        """Standardised features, float64."""
        return (features.double() - self.mean) / self.std


@dataclass(frozen=True)
class LinearProbe:
    """Logits ``features @ weight + bias`` of standardised features; weight C x categories."""

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Logits, float64, N x categories."""
        return features @ self.weight + self.bias


def fit_path(features: Tensor, labels: Tensor, l2: Sequence[float], max_iterations: int) -> Iterator[LinearProbe]:
    """Fit one probe for every strength in ``l2``, each started from the one before (give the strongest first).

    Minimises ``mean_n BCE(x_n W + b, y_n) + l2/2 |W|^2`` per category (the bias is free) by full-batch L-BFGS in
    float64: convex, so the result is the optimum whatever the start; no randomness. Equals scikit-learn's
    LogisticRegression with C = 1 / (N * l2).

    Args:
        features: standardised, float64, N x C.
        labels: 0/1, N x categories.
    """
    targets = labels.double()

    def loss(logits: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=0).sum()

    return minimised(features, targets.shape[1], loss, l2, max_iterations)


def minimised(
    features: Tensor, outputs: int, loss_of: Callable[[Tensor], Tensor], l2: Sequence[float], max_iterations: int
) -> Iterator[LinearProbe]:
    """The minimum of ``loss_of(x W + b) + l2/2 |W|^2`` for each of ``l2``, by full-batch L-BFGS from the one before.

    Args:
        features: N x C; their type is computed in.
        loss_of: convex; takes logits, N x outputs.
    """
    weight = torch.zeros(features.shape[1], outputs, dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(outputs, dtype=features.dtype, requires_grad=True)
    for strength in l2:
        optimiser = torch.optim.LBFGS(
            [weight, bias],
            max_iter=max_iterations,
            history_size=10,
            tolerance_grad=1e-6,
            tolerance_change=1e-10,
            line_search_fn="strong_wolfe",
        )

        def closure(optimiser: torch.optim.LBFGS = optimiser, strength: float = strength) -> Tensor:
            optimiser.zero_grad()
            loss = loss_of(features @ weight + bias) + 0.5 * strength * weight.square().sum()
            loss.backward()
            return loss

        optimiser.step(closure)  # type: ignore[arg-type]
        yield LinearProbe(weight.detach().clone(), bias.detach().clone())


def best_strength(
    strengths: Sequence[float], probes: Iterable[LinearProbe], value_of: Callable[[LinearProbe], float]
) -> tuple[float, float, LinearProbe]:
    """(value, strength, probe) of the highest value; of equal ones the first, which is the strongest."""
    best: tuple[float, float, LinearProbe] | None = None
    for strength, probe in zip(strengths, probes, strict=True):
        value = value_of(probe)
        if best is None or value > best[0]:
            best = (value, strength, probe)
    assert best is not None
    return best
