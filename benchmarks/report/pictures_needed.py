"""How many test images a number needs: what difference of two rows the images at hand can show at all.

The standard error of a difference of two rows, judged on the same images, is taken from the categories where there are
at least five: the variance over categories of the difference by category, over their number, in the mean over pairs
of rows. It holds what the images of a category happen to be and how categories differ, so it errs upwards. Of fewer
categories it is that of two independent shares of the images (binomial). It falls with the root of their number.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.records.record import Record
from benchmarks.statistics.summary import summarise

SOUGHT = 2.0
"""Percent points: the difference whose number of images is told."""
_INTERVAL = 1.96
_LEAST_CATEGORIES = 5
_OF_A_CLASS = {"mAP": "AP", "mIoU": "IoU", "mAcc": "Acc"}
"""What a record calls the metric of one class; others go by one name."""


@dataclass(frozen=True)
class Resolution:
    """What ``images`` test images can show: differences below ``points`` they cannot (95 %).

    ``categories``: over which the standard error was taken; 0: binomial.
    """

    images: int
    points: float
    categories: int

    def images_for(self, points: float) -> int:
        """So many images show a difference of that size, to two digits."""
        number = self.images * (self.points / points) ** 2
        digits = 10 ** max(0, math.floor(math.log10(max(number, 1.0))) - 1)
        return math.ceil(number / digits) * digits

    @property
    def sentence(self) -> str:
        """``With 60 test images ...``, one line."""
        how = f"standard error over {self.categories} categories" if self.categories else "binomial standard error"
        first = f"With {self.images} test images a difference below {self.points:.1f} points cannot be seen ({how})"
        if self.points <= SOUGHT:
            return f"{first}."
        return f"{first}; about {self.images_for(SOUGHT)} test images are needed for {SOUGHT:g} points."


def resolution(records: Sequence[Record], metric: str) -> Resolution | None:
    """What the test images of one column can show; None where there is no value, or nothing varies.

    Args:
        records: of one column, data set and protocol; references do not count.
    """
    judged = [one for one in records if one.backbone.origin != "reference" and one.metrics.get(metric) is not None]
    if not judged:
        return None
    images = judged[0].judged.images
    squares, categories = [], 0
    by_seed: dict[int, list[Record]] = {}
    for record in judged:
        by_seed.setdefault(record.seed, []).append(record)
    for a, b in itertools.chain.from_iterable(itertools.pairwise(there) for there in by_seed.values()):
        differences = summarise(_differences(a.per_class, b.per_class, _OF_A_CLASS.get(metric, metric)))
        if differences is not None and differences.n >= _LEAST_CATEGORIES and differences.std is not None:
            squares.append(differences.std**2 / differences.n)
            categories = max(categories, differences.n)
    if squares:
        error = math.sqrt(math.fsum(squares) / len(squares))
    else:
        share = math.fsum(one.metrics[metric] or 0.0 for one in judged) / len(judged) / 100
        error = 100 * math.sqrt(2 * max(0.0, share * (1 - share)) / max(images, 1))
    return Resolution(images, _INTERVAL * error, categories) if error else None


def _differences(
    a: Mapping[str, Mapping[str, float | None]], b: Mapping[str, Mapping[str, float | None]], metric: str
) -> list[float]:
    pairs = ((a[name].get(metric), b[name].get(metric)) for name in a if name in b)
    return [first - second for first, second in pairs if first is not None and second is not None]
