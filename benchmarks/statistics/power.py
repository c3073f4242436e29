"""What difference a number of runs can show: two-sided at 5 %, with a power of 80 %, by the noncentral t distribution.

A test of n runs misses a true difference of that size once in five times, and a smaller one more often. scipy.stats is
imported where it is asked: it takes most of a second.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from benchmarks.statistics.summary import pooled_std

SIGNIFICANCE = 0.05
"""Two-sided level of the test."""
POWER = 0.8
_MOST_SEEDS = 200


@dataclass(frozen=True)
class Power:
    """What the runs of one column can show.

    Attributes:
        spread: standard deviation of one paired difference where ``is_paired``, else of one run; in the metric's unit.
        n: runs of the row that has the fewest.
        detects: smallest difference of two rows that is found, in the metric's unit; None of a single run.
    """

    spread: float
    is_paired: bool
    n: int
    detects: float | None


def column_power(rows: Sequence[Mapping[int, float]]) -> Power | None:
    """The power of one column, from the spread over its seeds; None where no row has two runs.

    Where all rows have the same seeds, and those are two or more, they are paired: the spread is that of the paired
    differences, pooled over all pairs of rows. Otherwise it is the standard deviation over seeds, pooled over the rows,
    and a test takes two independent samples.

    Args:
        rows: of every backbone its value by seed.
    """
    rows = [row for row in rows if row]
    if not rows:
        return None
    n = min(map(len, rows))
    is_paired = n > 1 and len(rows) > 1 and all(row.keys() == rows[0].keys() for row in rows)
    if is_paired:
        spread: float | None = _paired_spread([[row[seed] for seed in sorted(row)] for row in rows])
    else:
        spread = pooled_std([list(row.values()) for row in rows])
    return None if spread is None else Power(spread, is_paired, n, detectable(spread, n, is_paired))


def _paired_spread(rows: Sequence[Sequence[float]]) -> float:
    """Root of the mean, over all pairs of rows, of the variance of their differences; two or more rows and seeds.

    It is twice the residual variance of rows and seeds, which takes no sum over pairs.
    """
    values = np.asarray(rows, dtype=float)
    residual = values - values.mean(axis=1, keepdims=True) - values.mean(axis=0) + values.mean()
    return math.sqrt(2 * float((residual**2).sum()) / ((values.shape[0] - 1) * (values.shape[1] - 1)))


def detectable(spread: float, n: int, is_paired: bool) -> float | None:
    """Smallest true difference that a two-sided t test at 5 % finds in 80 of 100 repetitions; None for n below 2.

    Args:
        spread: standard deviation of the paired differences, or, not paired, of the runs of either side.
        n: pairs, or runs a side.
    """
    return None if n < 2 else spread * _standardised(n, is_paired)


def seeds_needed(difference: float, spread: float, is_paired: bool) -> int | None:
    """How many pairs, or runs a side, find a true difference of that size; None where 200 do not."""
    wanted = abs(difference)
    if not wanted:
        return None
    enough = (n for n in range(2, _MOST_SEEDS + 1) if spread * _standardised(n, is_paired) <= wanted)
    return next(enough, None)


@lru_cache(maxsize=1024)
def _standardised(n: int, is_paired: bool) -> float:
    """The detectable difference in standard deviations: the root of power(d) = 0.8.

    The t statistic of a true difference d follows the noncentral t distribution with the noncentrality d over the
    standard error (J. Cohen, Statistical Power Analysis, 1988, chapter 2).
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    freedom = n - 1 if is_paired else 2 * n - 2
    error = math.sqrt((1 if is_paired else 2) / n)
    critical = float(t.ppf(1 - SIGNIFICANCE / 2, freedom))

    def lacking(noncentrality: float) -> float:
        wrong_side = float(nct.cdf(-critical, freedom, noncentrality))  # scipy's NaN here is a tail below 1e-16
        return float(nct.sf(critical, freedom, noncentrality)) + (0.0 if math.isnan(wrong_side) else wrong_side) - POWER

    return float(brentq(lacking, 1.0, 2 * critical)) * error
