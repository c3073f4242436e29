"""What tables say about several seeds: mean, spread, differences, and how sure a difference is. Pure functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
BOOTSTRAP_DRAWS = 20_000
_MOST_PAIRS = 300_000
"""Of distinct resamples of the two sides: up to so many the bootstrap is exact, beyond it is drawn."""


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (ddof 1; None for a single value) of ``n`` values, in the metric's unit."""

    mean: float
    std: float | None
    n: int


@dataclass(frozen=True)
class Welch:
    """Welch's test of equal means: statistic, degrees of freedom (Welch-Satterthwaite) and two-sided p value."""

    t: float
    df: float
    p: float


def summarise(values: Sequence[float]) -> Summary | None:
    """Summary of the values, summed exactly so that their order does not matter; None if there are none."""
    if not values:
        return None
    n = len(values)
    if min(values) == max(values):  # rounding would leave a little spread
        return Summary(values[0], 0.0 if n > 1 else None, n)
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else None
    return Summary(mean, std, n)


def difference(value: Summary, baseline: Summary) -> tuple[float, float | None]:
    """Difference of two means, and the spread of the difference of two single runs, sqrt(s1^2 + s2^2).

    The spread is None where either side has one run only: nothing is known about it then.
    """
    spread = None if value.std is None or baseline.std is None else math.hypot(value.std, baseline.std)
    return value.mean - baseline.mean, spread


def welch(value: Summary, baseline: Summary) -> Welch | None:
    """Welch's t test of ``value`` against ``baseline`` (B. L. Welch, Biometrika 34, 1947).

    None where either side has one run only, or where neither side varies at all: there is no test then.
    """
    if value.std is None or baseline.std is None:
        return None
    a, b = value.std**2 / value.n, baseline.std**2 / baseline.n
    if a + b == 0:
        return None
    from scipy.special import stdtr  # here, for it takes half a second to import, and not every board has a test

    t = (value.mean - baseline.mean) / math.sqrt(a + b)
    # Shares instead of squares: the square of a small variance is 0.
    share = a / (a + b)
    df = 1 / (share**2 / (value.n - 1) + (1 - share) ** 2 / (baseline.n - 1))
    return Welch(t, df, float(2 * stdtr(df, -abs(t))))


def bootstrap_interval(
    values: Sequence[float], baseline: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the difference of means (Efron and Tibshirani 1993, chapter 13).

    Both sides are resampled with replacement. With few runs (6 and 6, say) every resample is enumerated with its
    weight, else 20,000 are drawn from a fixed seed: equal values in any order give an equal interval. With two or
    three runs a side it is too narrow: it knows no value but those that were measured.

    Args:
        confidence: probability, in (0, 1).

    Returns:
        (low, high) in the metric's unit; None where either side has one run only.
    """
    if len(values) < 2 or len(baseline) < 2:
        return None
    ours, theirs = sorted(values), sorted(baseline)
    if _resamples(len(ours)) * _resamples(len(theirs)) <= _MOST_PAIRS:
        differences, weights = _every_difference(ours, theirs)
    else:
        differences, weights = _drawn_differences(ours, theirs)
    order = np.argsort(differences, kind="stable")
    reached = np.cumsum(weights[order])
    tail = (1 - confidence) / 2
    # Values of the inverse of the step function; the lowest rank is 1 of the total weight.
    ranks = [max(1, math.ceil(share * float(reached[-1]) - 1e-9)) for share in (tail, 1 - tail)]
    low, high = (float(differences[order][np.searchsorted(reached, rank)]) for rank in ranks)
    return low, high


def _resamples(n: int) -> int:
    """Number of distinct resamples of ``n`` values: multisets of n out of n."""
    return math.comb(2 * n - 1, n)


def _every_difference(ours: Sequence[float], theirs: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    (a, weight_a), (b, weight_b) = _every_mean(ours), _every_mean(theirs)
    return (a[:, None] - b[None, :]).ravel(), (weight_a[:, None] * weight_b[None, :]).ravel()


def _every_mean(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of every multiset of n of the n values, and how many ordered resamples it stands for."""
    n = len(values)
    means, weights = [], []
    for chosen in itertools.combinations_with_replacement(range(n), n):
        times = [chosen.count(index) for index in set(chosen)]
        means.append(math.fsum(values[index] for index in chosen) / n)
        weights.append(math.factorial(n) // math.prod(math.factorial(count) for count in times))
    return np.array(means), np.array(weights, dtype=np.int64)


def _drawn_differences(ours: Sequence[float], theirs: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    generator = np.random.default_rng(0)
    means = [
        np.array(side)[generator.integers(len(side), size=(BOOTSTRAP_DRAWS, len(side)))].mean(axis=1)
        for side in (ours, theirs)
    ]
    return means[0] - means[1], np.ones(BOOTSTRAP_DRAWS, dtype=np.int64)
