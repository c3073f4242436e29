"""Percentile bootstrap intervals of a difference of means.

Not by :func:`scipy.stats.bootstrap`, which only draws resamples: of the few runs that a table has, every resample can
be enumerated, which is exact and has no seed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics.summary import CONFIDENCE

DRAWS = 20_000
_MOST_PAIRS = 300_000
"""Of distinct resamples of the two sides: up to so many the bootstrap is exact, beyond it is drawn."""


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
    sides = sorted(values), sorted(baseline)
    if math.prod(math.comb(2 * len(side) - 1, len(side)) for side in sides) <= _MOST_PAIRS:
        (a, weight_a), (b, weight_b) = map(_every_mean, sides)
        differences, weights = np.subtract.outer(a, b).ravel(), np.multiply.outer(weight_a, weight_b).ravel()
    else:
        generator = np.random.default_rng(0)
        a, b = (resampled_means(side, DRAWS, generator) for side in sides)
        differences, weights = a - b, np.ones(DRAWS, dtype=np.int64)
    order = np.argsort(differences, kind="stable")
    reached = np.cumsum(weights[order])
    tail = (1 - confidence) / 2
    # Values of the inverse of the step function; the lowest rank is 1 of the total weight.
    ranks = [max(1, math.ceil(share * float(reached[-1]) - 1e-9)) for share in (tail, 1 - tail)]
    low, high = (float(differences[order][np.searchsorted(reached, rank)]) for rank in ranks)
    return low, high


def paired_interval(differences: Sequence[float]) -> tuple[float, float] | None:
    """Percentile bootstrap interval of the mean difference over resampled pairs; None of fewer than two pairs."""
    # A side of zeros has no spread, so that the difference of the two means is the mean of the differences.
    return bootstrap_interval(differences, [0.0, 0.0])


def resampled_means(values: Sequence[float], draws: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Means of ``draws`` resamples of the values with replacement; sort the values if their order shall not matter."""
    drawn: NDArray[np.float64] = np.array(values)[generator.integers(len(values), size=(draws, len(values)))]
    return drawn.mean(axis=1)


def _every_mean(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Mean of every multiset of n of the n values, and how many ordered resamples it stands for."""
    n = len(values)
    means, weights = [], []
    for chosen in itertools.combinations_with_replacement(range(n), n):
        times = [chosen.count(index) for index in set(chosen)]
        means.append(math.fsum(values[index] for index in chosen) / n)
        weights.append(math.factorial(n) // math.prod(math.factorial(count) for count in times))
    return np.array(means), np.array(weights, dtype=np.int64)
