"""How sure a difference is: Welch's and the paired t test by scipy, and Holm's correction for several tests.

scipy.stats is imported where it is asked: it takes most of a second, and not every command has a test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.statistics.summary import CONFIDENCE, Summary, summarise

_ROUNDING = 1e-9
"""Percent points: differences that vary by less are equal, and only their rounding differs."""


def welch_p(value: Summary, baseline: Summary) -> float | None:
    """Two-sided p value of Welch's test of equal means (B. L. Welch, Biometrika 34, 1947).

    None where either side has one run only, or where neither side varies at all: there is no test then.
    """
    if value.std is None or baseline.std is None or value.std**2 + baseline.std**2 == 0:
        return None
    from scipy.stats import ttest_ind_from_stats

    sides = (value.mean, value.std, value.n, baseline.mean, baseline.std, baseline.n)
    return float(ttest_ind_from_stats(*sides, equal_var=False).pvalue)


def paired_p(differences: Sequence[float]) -> float | None:
    """Two-sided p value of the paired t test of the differences (Student, Biometrika 6, 1908).

    None of fewer than two pairs, or where the differences do not vary: there is no test then.
    """
    test = _paired_t(differences)
    return None if test is None else float(test.pvalue)


def _paired_t(differences: Sequence[float]) -> Any | None:
    """scipy's result, which holds the interval too."""
    summary = summarise(differences)
    if summary is None or summary.std is None or summary.std < _ROUNDING:
        return None
    from scipy.stats import ttest_1samp

    return ttest_1samp(sorted(differences), 0.0)  # sorted: the last digits do not depend on the seeds' order


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
    summary, test = summarise(differences), _paired_t(differences)
    if summary is None or test is None:
        return None if summary is None else PairedTest(summary.mean, None, None, None, summary.n)
    low, high = test.confidence_interval(CONFIDENCE)
    return PairedTest(summary.mean, float(low), float(high), float(test.pvalue), summary.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values adjusted for being one of several (S. Holm, Scandinavian Journal of Statistics 6, 1979), in their order.

    The k-th smallest of n is multiplied by n - k + 1; none is below the one before it or above 1. (scipy has the
    false discovery rate and no Holm.)
    """
    p, n = np.asarray(p_values, dtype=float), len(p_values)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(n)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate((n - np.arange(n)) * p[order]))
    return [float(value) for value in adjusted]
