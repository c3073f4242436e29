"""Two rows measured with the same seeds, and several tests in one comparison. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

from benchmarks.report.statistics import CONFIDENCE, bootstrap_interval, summarise

_ROUNDING = 1e-9
"""Percent points: differences that vary by less are equal, and only their rounding differs."""


@dataclass(frozen=True)
class PairedT:
    """Student's test that the mean of paired differences is 0: statistic, degrees of freedom, two-sided p value.

    ``low`` and ``high`` bound the mean with :data:`.statistics.CONFIDENCE`, by the same distribution.
    """

    t: float
    df: int
    p: float
    low: float
    high: float


def paired_t(differences: Sequence[float]) -> PairedT | None:
    """The paired t test of the differences (Student, Biometrika 6, 1908).

    None of fewer than two pairs, or where the differences do not vary: there is no test then.
    """
    summary = summarise(differences)
    if summary is None or summary.std is None or summary.std < _ROUNDING:
        return None
    error = summary.std / math.sqrt(summary.n)
    t, df = summary.mean / error, summary.n - 1
    reach = float(stdtrit(df, (1 + CONFIDENCE) / 2)) * error
    return PairedT(t, df, float(2 * stdtr(df, -abs(t))), summary.mean - reach, summary.mean + reach)


@dataclass(frozen=True)
class PairedTest:
    """Mean difference over ``n`` paired seeds, Student's interval, and the two-sided p value of the paired t test.

    Interval and p are None for a single pair, and where all differences are equal.
    """

    difference: float
    low: float | None
    high: float | None
    p: float | None
    n: int


def paired_test(values: Mapping[int, float], baseline: Mapping[int, float]) -> PairedTest | None:
    """Compare two rows seed by seed; seeds that only one has do not count. None where no seed is shared.

    Args:
        values, baseline: value by seed.
    """
    differences = [values[seed] - baseline[seed] for seed in sorted(values.keys() & baseline.keys())]
    if not differences:
        return None
    mean, n = math.fsum(differences) / len(differences), len(differences)
    test = paired_t(differences)
    return PairedTest(mean, None, None, None, n) if test is None else PairedTest(mean, test.low, test.high, test.p, n)


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
