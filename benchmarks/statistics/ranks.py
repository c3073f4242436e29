"""Ranks over backbones, and how sure they are: a bootstrap over seeds. A pure function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.statistics.summary import CONFIDENCE

RANK_DRAWS = 1_000
_AT_ONCE = 500_000
"""So many numbers are drawn in one go; bounds the memory."""


@dataclass(frozen=True)
class Rank:
    """A place from 1 (the highest mean); equal means share the better place.

    ``low`` and ``high`` bound it with the confidence asked for; None of a single seed, of whose spread nothing is
    known.
    """

    place: int
    low: int | None
    high: int | None


def rank_intervals(
    values: Sequence[Sequence[float]], confidence: float = CONFIDENCE, draws: int = RANK_DRAWS
) -> list[Rank]:
    """Rank of every backbone by its mean over seeds, with a percentile bootstrap interval of that rank.

    In every draw each backbone's seeds are resampled with replacement, apart from all others, and the means ranked
    anew (Hall and Miller, Annals of Statistics 37, 2009). The draws come from a fixed seed and each backbone's values
    are sorted first: equal values in any order of seeds give equal intervals. With few seeds the interval is too
    narrow, for it knows no value but those that were measured.

    Args:
        values: one sequence of finite numbers a backbone, none empty; higher is better.
        confidence: probability, in (0, 1).
        draws: number of resamples.
    """
    return list(_ranks(tuple(map(tuple, values)), confidence, draws))


@lru_cache(maxsize=64)  # the page and its pictures ask for the same columns
def _ranks(values: tuple[tuple[float, ...], ...], confidence: float, draws: int) -> Sequence[Rank]:
    if not values:
        return []
    means = np.array([np.mean(np.sort(mine)) for mine in values])
    resampled = np.empty((draws, len(values)))
    for seeds in sorted(set(map(len, values))):  # all backbones with equally many seeds at once
        mine = [number for number, each in enumerate(values) if len(each) == seeds]
        resampled[:, mine] = _resampled_means(np.sort([values[number] for number in mine], axis=1), draws)
    tail = (1 - confidence) / 2
    lows, highs = np.quantile(_places(resampled), [tail, 1 - tail], axis=0, method="inverted_cdf")
    return [
        Rank(int(place), int(low), int(high)) if len(mine) > 1 else Rank(int(place), None, None)
        for mine, place, low, high in zip(values, _places(means[None])[0], lows, highs, strict=True)
    ]


def _resampled_means(values: NDArray[np.float64], draws: int) -> NDArray[np.float64]:
    """Means of ``draws`` resamples of every row of ``values`` (backbones, seeds): (draws, backbones)."""
    backbones, seeds = values.shape
    generator = np.random.default_rng([0, seeds])
    rows = np.arange(backbones)[:, None]
    at_once = max(1, _AT_ONCE // values.size)
    sizes = [min(at_once, draws - first) for first in range(0, draws, at_once)]
    drawn = (values[rows, generator.integers(seeds, size=(size, *values.shape))] for size in sizes)
    return np.concatenate([np.sort(each).mean(axis=2) for each in drawn])


def _places(means: NDArray[np.float64]) -> NDArray[np.int64]:
    """1 + how many of the same row (draws, backbones) are higher."""
    from scipy.stats import rankdata  # takes most of a second to import

    return rankdata(-means, method="min", axis=1).astype(np.int64)
