"""Does a small board predict a big one? Kendall's tau between measured and published ranks.

With the four methods that both have, tau takes seven values and no order is improbable: n is printed beside it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.published.values import PublishedValue
from benchmarks.report.statistics import BOOTSTRAP_DRAWS, CONFIDENCE

METHODS = {"moco": "MoCo-v2", "byol": "BYOL", "densecl": "DenseCL", "mls": "MLS"}
"""Our labels, and what the published tables call these methods."""


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Tau-b (Kendall, Biometrika 33, 1945): concordant less discordant pairs, corrected for ties.

    None where all values of a side are equal.

    Args:
        first, second: one value a subject, in the same order.
    """
    pairs = list(itertools.combinations(range(len(first)), 2))
    signs = [(np.sign(first[i] - first[j]), np.sign(second[i] - second[j])) for i, j in pairs]
    untied = math.prod(sum(1 for pair in signs if pair[side] != 0) for side in (0, 1))
    return float(sum(a * b for a, b in signs)) / math.sqrt(untied) if untied else None


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
    tau = kendall_tau([math.fsum(measured[name]) / len(measured[name]) for name in names], theirs)
    if tau is None:
        return None
    generator = np.random.default_rng(0)
    draws = min(BOOTSTRAP_DRAWS, 2000)
    means = [
        np.array(sorted(measured[name]))[generator.integers(len(measured[name]), size=(draws, len(measured[name])))]
        .mean(axis=1)
        .tolist()
        for name in names
    ]
    resampled = sorted(kendall_tau(ours, theirs) or 0.0 for ours in zip(*means, strict=True))
    tail = (1 - CONFIDENCE) / 2
    orders = [kendall_tau(order, theirs) or 0.0 for order in itertools.permutations(range(len(names)))]
    return Agreement(
        tau=tau,
        low=resampled[math.floor(tail * draws)],
        high=resampled[math.ceil((1 - tail) * draws) - 1],
        n=len(names),
        chance=sum(other >= tau - 1e-12 for other in orders) / len(orders),
    )


def published_orders(values: Sequence[PublishedValue]) -> dict[tuple[str, str, str, int | None], dict[str, float]]:
    """Every published column that has all of :data:`METHODS`, pretrained on COCO for equally many epochs.

    Returns:
        (table, protocol, metric, epochs) -> our label -> value.
    """
    names = {published: ours for ours, published in METHODS.items()}
    columns: dict[tuple[str, str, str, int | None], dict[str, float]] = {}
    for value in values:
        if value.method in names and value.pretrain_data == "COCO":
            key = (value.table, value.protocol, value.metric, value.pretrain_epochs)
            columns.setdefault(key, {})[names[value.method]] = value.value
    return {key: column for key, column in columns.items() if column.keys() == METHODS.keys()}
