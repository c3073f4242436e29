"""Checks of single values in recipes; each error names the key, the value and what it must be."""

from __future__ import annotations

import math
from typing import Any

from scenebench.errors import UserError


def require(condition: bool, key: str, value: object, expected: str) -> None:
    """Raise a UserError ``key: value must be expected`` unless ``condition`` holds."""
    if not condition:
        raise UserError(f"{key}: {value} must be {expected}")


def require_probability(key: str, value: float) -> None:
    """``value`` in [0, 1]."""
    require(0 <= value <= 1, key, value, "a probability in [0, 1]")


def require_momentum(key: str, value: float) -> None:
    """``value`` in [0, 1]."""
    require(0 <= value <= 1, key, value, "in [0, 1]")


def require_multiple(key: str, value: int, batch: int) -> None:
    """``value`` a multiple of the global batch."""
    # Keys enter the queue in whole batches, so that a slot's age and the pairing of the dictionaries are exact.
    if value % batch != 0:
        nearest = max(batch, round(value / batch) * batch)
        raise UserError(f"{key}: {value} is not a multiple of schedule.batch_size = {batch}; use {nearest}")


def number_range(key: str, values: Any, high: float = math.inf) -> tuple[float, float]:
    """``values`` as (smaller, larger) within (0, high]."""
    pair = tuple(float(value) for value in values)
    if len(pair) != 2:
        raise UserError(f"{key}: expected two numbers [min, max], found {len(pair)}")
    first, second = pair
    require(0 < first <= second <= high, key, list(pair), f"[min, max] with 0 < min <= max <= {high:g}")
    return first, second
