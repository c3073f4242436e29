"""Single values of a COCO JSON: what they may be, and how they are named in errors."""

from __future__ import annotations

import json
import math
from typing import Any, TypeAlias

Id: TypeAlias = int | str

_CROWD = {"0": False, "false": False, "1": True, "true": True}


def as_integer(value: Any) -> int | None:
    """A whole number, also where it is written as 1.0; None for anything else, true and false included."""
    if type(value) is int:
        return value
    return int(value) if isinstance(value, float) and value.is_integer() else None


def as_id(value: Any) -> Id | None:
    """The id of an image: a whole number or a text that is not empty; None for anything else."""
    return value or None if isinstance(value, str) else as_integer(value)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, NaN and infinity included."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_text(value: Any, errors: str = "strict") -> bool:
    """Whether ``value`` is text that can be written as UTF-8; half of a pair of surrogates ("\\ud800") cannot."""
    try:
        return isinstance(value, str) and value.encode("utf-8", errors) is not None
    except UnicodeEncodeError:
        return False


def as_float(value: float) -> float:
    """A number as float; infinity for an integer that is beyond floats."""
    try:
        return float(value)
    except OverflowError:
        return math.inf


def is_crowd(value: Any) -> bool:
    """What ``iscrowd`` says. Absent and null mean no; 0, 1, true and false may be written as text.

    Raises:
        ValueError: it says anything else.
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    if is_number(value) and value in (0, 1):
        return bool(value)
    text = value.strip().lower() if isinstance(value, str) else ""
    if text not in _CROWD:
        raise ValueError(f"'iscrowd' is {shown(value)}, neither 0 nor 1")
    return _CROWD[text]


def shown(value: Any) -> str:
    """A value as the JSON has it, shortened to 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
