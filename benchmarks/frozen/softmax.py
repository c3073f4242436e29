"""Softmax regression fitted to convergence: one class a row, or a share of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.nn import functional

from benchmarks.frozen.linear import LinearProbe, minimised


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
    return minimised(
        features, targets.shape[1], lambda logits: functional.cross_entropy(logits, wanted), l2, max_iterations
    )
