"""Seconds of a piece of work by two clocks: the wall's, and what this process spent on processors."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Took:
    """``busy``: processor seconds of all threads; on a machine that does other things too it varies less."""

    seconds: float
    busy: float

    def __add__(self, other: Took) -> Took:
        return Took(self.seconds + other.seconds, self.busy + other.busy)

    def plain(self) -> dict[str, float]:
        """For JSON, to the millisecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def timed(work: Callable[[], Result]) -> tuple[Result, Took]:
    """Do the work once."""
    wall, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, Took(time.perf_counter() - wall, time.process_time() - busy)
