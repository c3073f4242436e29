"""Timing contenders against one another: in turns, round after round, so that a slow minute hits all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Rates:
    """Images per second of one contender, one value a round; values of one round belong together."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """Over the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """Lowest and highest."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast the first contender is: the median of the rounds' ratios, and the lowest and highest."""

    median: float
    low: float
    high: float


def interleave(
    contenders: Mapping[str, Callable[[], int]],
    rounds: int,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Rates]:
    """Let each contender work for ``seconds`` in every round; each round begins with another one.

    Args:
        contenders: by name, a function that does one portion of work, to its end, and says how many images that was. It
            is called once before the clock runs.
        clock: seconds; ``time.process_time`` for work on one thread, so that other processes do not count.
    """
    for work in contenders.values():
        work()
    names = list(contenders)
    rates: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            rates[name].append(_rate(contenders[name], seconds, clock))
    return {name: Rates(tuple(values)) for name, values in rates.items()}


def ratio(first: Rates, second: Rates) -> Ratio:
    """``first / second``, round by round."""
    values = [a / b for a, b in zip(first.values, second.values, strict=True)]
    return Ratio(statistics.median(values), min(values), max(values))


def times_as_long(rates: Rates, reference: Rates) -> Ratio:
    """How many times the reference's time an image takes."""
    return ratio(reference, rates)


def _rate(work: Callable[[], int], seconds: float, clock: Callable[[], float]) -> float:
    images, begun = 0, clock()
    while True:
        images += work()
        elapsed = clock() - begun
        if elapsed >= seconds:
            return images / elapsed
