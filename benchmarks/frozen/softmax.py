"""Softmax regression fitted to convergence: one class a row, or a share of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.frozen.linear import LinearProbe


def fit_softmax_path(
    features: Tensor, targets: Tensor, l2: Sequence[float], max_iterations: int
) -> Iterator[LinearProbe]:
    """Fit one probe for every strength in ``l2``, each started from the one before (give the strongest first).

    Minimises ``mean_n CE(x_n W + b, y_n) + l2/2 |W|^2`` (the bias is free) by full-batch L-BFGS: convex, so the result
    is the optimum whatever the start; no randomness. With one class a row it equals scikit-learn's LogisticRegression
    with C = 1 / (N * l2).

    Args:
        features: standardised, N x C; their type is computed in.
        targets: N x classes, shares of each class; a row sums to 1.
    """
    wanted = targets.to(features)
    weight = torch.zeros(features.shape[1], targets.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(targets.shape[1], dtype=features.dtype, requires_grad=True)
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
            loss = functional.cross_entropy(features @ weight + bias, wanted)
            loss = loss + 0.5 * strength * weight.square().sum()
            loss.backward()
            return loss

        optimiser.step(closure)  # type: ignore[arg-type]
        yield LinearProbe(weight.detach().clone(), bias.detach().clone())
