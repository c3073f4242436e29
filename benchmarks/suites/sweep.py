"""Sweeps: one backbone row of a suite that stands for many, a row for each combination of a recipe's values."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenebench.config import override
from scenebench.errors import UserError, did_you_mean

MAX_ROWS = 100
"""More rows than this are a slip of the pen, and weeks of work."""
SET_BY_THE_SUITE = {
    "seed": "seeds",
    "data.root": "the suite's data",
    "data.annotations": "labels: true",
    "init_from": "init_from: LABEL",
    "init_hash": "init_from: LABEL",
}
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Combination:
    """One row: what it is called, and the ``key=value`` pairs that make its recipe."""

    label: str
    overrides: list[str]


def expand(sweep: Mapping[str, Any], label: str, where: str) -> list[Combination]:
    """The rows of a sweep: the product of all lists in the order written, the last key fastest.

    Args:
        sweep: recipe key -> list of values, such as ``{"mls.k": [1, 5, 20]}``; whether the recipe has the key and takes
            the values is found out where the recipe is read.
        label: a template such as ``"k {mls.k}"``; the values are appended where it has no placeholder.
        where: file and row, for errors.

    Raises:
        UserError: a key that is the suite's own, no list, an empty one, a value twice, something that no recipe holds,
            too many rows, a placeholder of no swept key, or two rows of one label.
    """
    for key, values in sweep.items():
        _check_values(key, values, where)
    rows = math.prod(len(values) for values in sweep.values())
    if rows > MAX_ROWS:
        raise UserError(f"{where}: sweep: makes {rows} rows; at most {MAX_ROWS} are allowed, so sweep fewer values")
    template = _template(label, list(sweep), where)
    combinations = []
    for values in itertools.product(*sweep.values()):
        chosen = dict(zip(sweep, values, strict=True))
        overrides = [override(key, value) for key, value in chosen.items()]
        combinations.append(Combination(_filled(template, chosen), overrides))
    _check_labels([combination.label for combination in combinations], where)
    return combinations


def check_free(sweep: Mapping[str, Any], overrides: Sequence[str], where: str) -> None:
    """A swept key that is also an override has two values at once; refuse it."""
    for pair in overrides:
        key = pair.partition("=")[0]
        if key in sweep:
            raise UserError(f"{where}: sweep: '{key}' is also given as the override '{pair}'; keep one of them")


def _check_values(key: str, values: Any, where: str) -> None:
    if key in SET_BY_THE_SUITE:
        raise UserError(f"{where}: sweep: '{key}' is no key to sweep; it is set by {SET_BY_THE_SUITE[key]}")
    if not isinstance(values, list) or not values:
        raise UserError(f"{where}: sweep: '{key}' needs a list of one or more values, found {values!r}")
    seen: list[object] = []
    for value in values:
        items = value if isinstance(value, list) else [value]
        if not all(item is None or isinstance(item, (str, int, float)) for item in items):
            raise UserError(f"{where}: sweep: '{key}': {value!r} is not a number, a text, or a list of them")
        # 1 and 1.0 make one recipe, 1 and true do not
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        same = float(value) if is_number else _text(value)
        if same in seen:
            raise UserError(f"{where}: sweep: '{key}' has the value {_text(value)} twice; remove one")
        seen.append(same)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _template(label: str, keys: list[str], where: str) -> str:
    """``label`` with a placeholder for every key that the rows are told apart by."""
    named = _PLACEHOLDER.findall(label)
    for name in named:
        if name not in keys:
            raise UserError(f"{where}: label: '{{{name}}}' names no swept key{did_you_mean(name, keys)}")
    return label if named else f"{label} {', '.join(f'{{{key}}}' for key in keys)}"


def _filled(template: str, chosen: Mapping[str, Any]) -> str:
    return _PLACEHOLDER.sub(lambda match: _text(chosen[match[1]]), template)


def _check_labels(labels: list[str], where: str) -> None:
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"{where}: label: '{label}' comes out twice; name every swept key in it, as in '{{key}}'")
