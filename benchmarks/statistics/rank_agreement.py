"""Does a small board predict a big one? Kendall's tau between two orders of the same methods, and how sure it is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from benchmarks.statistics.bootstrap import resampled_means
from benchmarks.statistics.summary import CONFIDENCE

_DRAWS = 2_000


def kendall_taus(orders: ArrayLike, second: Sequence[float]) -> list[float | None]:
    """Tau-b (Kendall, Biometrika 33, 1945): concordant less discordant pairs, corrected for ties.

    None where all values of a side are equal, or there are fewer than two.

    Args:
        orders: (orders, subjects): each is compared with ``second``, which has one value a subject.
    """
    from scipy.stats import rankdata  # takes most of a second to import

    other = tuple(rankdata(second, method="dense").tolist())
    return [_tau(tuple(ranks), other) for ranks in rankdata(orders, method="dense", axis=1).tolist()]


@lru_cache(maxsize=4096)  # thousands of resamples of a few methods have few orders
def _tau(first: tuple[int, ...], second: tuple[int, ...]) -> float | None:
    from scipy.stats import kendalltau

    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(kendalltau(first, second).statistic)


@dataclass(frozen=True)
class Agreement:
    """Tau over ``n`` methods, its bootstrap interval, and the share of all n! orders that agree at least as well."""

    tau: float
    low: float
    high: float
    n: int
    chance: float


def rank_agreement(measured: Mapping[str, Sequence[float]], published: Mapping[str, float]) -> Agreement | None:
    """Kendall's tau between the means over seeds and published values of the same methods.

    The interval resamples the seeds of each method, not the methods: it says how sure *our* order is. It knows nothing
    of how the published values would vary, nor of other methods.

    Args:
        measured: by method, one value a seed.
        published: by method.

    Returns:
        None for fewer than two methods in common, or where all values of a side are equal.
    """
    names = sorted(measured.keys() & published.keys())
    theirs = [published[name] for name in names]
    if len(names) < 2:
        return None
    (tau,) = kendall_taus([[math.fsum(measured[name]) / len(measured[name]) for name in names]], theirs)
    if tau is None:
        return None
    generator = np.random.default_rng(0)
    means = [resampled_means(sorted(measured[name]), _DRAWS, generator) for name in names]
    resampled = sorted(one or 0.0 for one in kendall_taus(np.transpose(means), theirs))
    tail = (1 - CONFIDENCE) / 2
    every = [other or 0.0 for other in kendall_taus(list(itertools.permutations(range(len(names)))), theirs)]
    return Agreement(
        tau=tau,
        low=resampled[math.floor(tail * _DRAWS)],
        high=resampled[math.ceil((1 - tail) * _DRAWS) - 1],
        n=len(names),
        chance=sum(other >= tau - 1e-12 for other in every) / len(every),
    )
