"""Mean and spread of several runs, and of the difference of two sides."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
"""Of every interval that is printed."""


@dataclass(frozen=True)
class Summary:
    """Mean and sample standard deviation (ddof 1; None for a single value) of ``n`` values, in the metric's unit."""

    mean: float
    std: float | None
    n: int


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


def pooled_std(samples: Sequence[Sequence[float]]) -> float | None:
    """Standard deviation within samples: sqrt(sum (n - 1) s^2 / sum (n - 1)); None where no sample has two values."""
    known = [one for one in map(summarise, samples) if one is not None and one.std is not None]
    if not known:
        return None
    squares = math.fsum((one.n - 1) * (one.std or 0.0) ** 2 for one in known)
    return math.sqrt(squares / sum(one.n - 1 for one in known))
