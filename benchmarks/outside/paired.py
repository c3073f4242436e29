"""Two rows measured with the same seeds, and several tests in one comparison. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr

from benchmarks.report.statistics import bootstrap_interval, summarise

_ROUNDING = 1e-9
"""Percent points: differences that vary by less are equal, and only their rounding differs."""


@dataclass(frozen=True)
class PairedT:
    """Student's test that the mean of paired differences is 0: statistic, degrees of freedom, two-sided p value."""

    t: float
    df: int
    p: float


def paired_t(differences: Sequence[float]) -> PairedT | None:
    """The paired t test of the differences (Student, Biometrika 6, 1908).

    None of fewer than two pairs, or where the differences do not vary: there is no test then.
    """
    summary = summarise(differences)
    if summary is None or summary.std is None or summary.std < _ROUNDING:
        return None
    t = summary.mean / (summary.std / math.sqrt(summary.n))
    return PairedT(t, summary.n - 1, float(2 * stdtr(summary.n - 1, -abs(t))))


def paired_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean difference over resampled pairs; None of fewer than two pairs."""
    # A side of zeros has no spread, so that the difference of the two means is the mean of the differences.
    return bootstrap_interval(differences, [0.0, 0.0])


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for being one of several (S. Holm, Scandinavian Journal of Statistics 6, 1979), in their order.

    The k-th smallest of n is multiplied by n - k + 1; none is below the one before it or above 1.
    """
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted
