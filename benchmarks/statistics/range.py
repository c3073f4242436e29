"""Does a column measure at all? The range between a negative and a positive control, over the spread of seeds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.statistics.summary import pooled_std, summarise

Standing = Literal["passes", "fails", "unknown"]


@dataclass(frozen=True)
class Range:
    """What the controls of one column say, in the metric's unit.

    Attributes:
        negative, positive: the controls' means; None where a control has no value.
        difference: positive less negative.
        spread: standard deviation over seeds, pooled over all backbones of the column that have two or more; None
            where none has.
        ratio: ``difference`` over ``spread``.
        least_ratio, least_difference: what was asked for beforehand.
        standing: ``unknown`` where a control is missing, or where no spread is known and the rest holds.
    """

    negative: float | None
    positive: float | None
    difference: float | None
    spread: float | None
    ratio: float | None
    least_ratio: float
    least_difference: float
    standing: Standing


def measured_range(
    rows: Mapping[str, Sequence[float]],
    negative: str,
    positive: str,
    least_ratio: float,
    least_difference: float = 0.0,
    lower_is_better: bool = False,
) -> Range:
    """Hold the controls of one column against what they were asked for.

    A column passes if the positive control is above the negative one by ``least_ratio`` spreads and by
    ``least_difference``. A positive control that is not above the negative one fails, whatever was asked for.

    Args:
        rows: values over seeds by backbone, the controls among them; references are no backbones.
        negative, positive: names of the controls' rows.
        lower_is_better: of an error, of which the positive control has less; the difference is positive then, too.
    """
    spread = pooled_std(list(rows.values()))
    low, high = (summarise(rows.get(name, ())) for name in (negative, positive))
    if low is None or high is None:
        known = [None if one is None else one.mean for one in (low, high)]
        return Range(known[0], known[1], None, spread, None, least_ratio, least_difference, "unknown")
    difference = low.mean - high.mean if lower_is_better else high.mean - low.mean
    ratio = None
    if spread is not None:
        ratio = difference / spread if spread else math.copysign(math.inf, difference) if difference else 0.0
    standing: Standing = "passes"
    if difference <= 0 or difference < least_difference or (ratio is not None and ratio < least_ratio):
        standing = "fails"
    elif ratio is None:
        standing = "unknown"
    return Range(low.mean, high.mean, difference, spread, ratio, least_ratio, least_difference, standing)
