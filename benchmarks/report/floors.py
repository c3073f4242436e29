"""When every backbone of a column does no better than a predictor that looks at no picture: the column is at its floor.

AP of boxes and masks: next to nothing was found, every mean is below 1. Other metrics, unless the suite's positive
control passes: no mean is above that of the trivial predictor by more than a point or, where that is more, two spreads
of seeds. The trivial predictor is the reference row :data:`CHANCE` where the column has it (mAP: the categories'
prevalence; mIoU, mAcc, aAcc: the most frequent class everywhere). Without it mIoU and mAcc are held against
100 / classes, the most that one class everywhere can reach, and top1 against 100 / categories; of mAP and aAcc no floor
is known then.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.metrics import metric_label

CHANCE = "chance"
"""Method of the reference that looks at no picture."""
_NOTHING_FOUND = 1.0
_POINTS = 1.0
_SPREADS = 2.0


def floor_note(
    metric: str,
    means: Sequence[float],
    spread: float | None,
    chance: float | None,
    classes: int,
    categories: int,
    is_measuring: bool = False,
) -> str:
    """Why the column is at its floor, in words; "" where it is not, or where none is known.

    Args:
        means: of the backbones, in percent; references do not count.
        spread: of seeds, in percent points; None where it is not known.
        chance: what the trivial predictor has, where the column says so.
        classes: those that the metric is a mean over, background included; 0 where that is not known.
        categories: of the data set.
        is_measuring: the suite's positive control passes.
    """
    if not means:
        return ""
    best = max(means)
    if metric.startswith(("box_", "mask_")):
        return f"no backbone reaches {_NOTHING_FOUND:g}: next to nothing was found" if best < _NOTHING_FOUND else ""
    if is_measuring:
        return ""
    within = max(_POINTS, _SPREADS * (spread or 0.0))
    if chance is not None:
        above = best - chance
        said = f"the best is within {within:.1f} points of {chance:.1f}, which a predictor has that looks at no picture"
        return said if above <= within else ""
    bound = _bound(metric, classes, categories)
    if bound is None or best > bound:
        return ""
    return f"no {metric_label(metric)} is above {bound:.1f}, the most that one class predicted everywhere can reach"


def _bound(metric: str, classes: int, categories: int) -> float | None:
    number = {"mIoU": classes, "mAcc": classes, "top1": categories}.get(metric, 0)
    return 100 / number if number > 1 else None
