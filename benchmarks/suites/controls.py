"""A suite's controls: the row that must be low, the row that must be high, and by how much, stated before a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scenebench.config import load_config
from scenebench.errors import UserError, did_you_mean, require_choice

SPREADS = 3.0
"""What a column is asked for of which a suite says nothing: (positive - negative) over the spread of seeds."""


@dataclass
class Threshold:
    """What one column is asked for: positive less negative control in spreads of seeds, and in percent points."""

    spreads: float = SPREADS
    points: float = 0.0


@dataclass
class Controls:
    """The controls of a suite.

    Attributes:
        negative, positive: labels of backbones: one that cannot know anything, and one that was given the labels.
        spreads, points: of every column that ``range`` does not name.
        range: by column, ``PROTOCOL.METRIC``.
    """

    negative: str
    positive: str
    spreads: float = SPREADS
    points: float = 0.0
    range: dict[str, Threshold] = field(default_factory=dict)

    def threshold(self, protocol: str, metric: str) -> Threshold:
        """What is asked of a column."""
        return self.range.get(column_name(protocol, metric), Threshold(self.spreads, self.points))


@dataclass
class _Stated:
    """The section ``controls`` as it stands in a suite's file."""

    negative: str = ""
    positive: str = ""
    spreads: float = SPREADS
    points: float = 0.0
    range: dict[str, Any] = field(default_factory=dict)


def column_name(protocol: str, metric: str) -> str:
    """``multilabel_linear.mAP``."""
    return f"{protocol}.{metric}"


def read_controls(section: Mapping[str, Any], where: str) -> Controls:
    """The section ``controls`` of a suite, types checked; a threshold is a number of spreads or says both by name.

    Raises:
        UserError: an unknown key, a wrong type, or a control that is not named.
    """
    stated = load_config(_Stated, section, where=where)
    for name in ("negative", "positive"):
        if not getattr(stated, name):
            raise UserError(f"{where}: '{name}' is missing; name the backbone that is the {name} control")
    default = _threshold({"spreads": stated.spreads, "points": stated.points}, stated, where)
    columns = {name: _threshold(value, stated, f"{where}: range: {name}") for name, value in stated.range.items()}
    return Controls(stated.negative, stated.positive, default.spreads, default.points, columns)


def _threshold(value: Any, default: _Stated, where: str) -> Threshold:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = {"spreads": value}
    if not isinstance(value, Mapping):
        raise UserError(f"{where}: '{value}' is neither a number of spreads nor a mapping of spreads and points")
    found = load_config(Threshold, {"spreads": default.spreads, "points": default.points}, value, where=where)
    for name, number in (("spreads", found.spreads), ("points", found.points)):
        if not math.isfinite(number) or number < 0:
            raise UserError(f"{where}: {name}: {number:g} is not a number of at least 0")
    return found


def require_fitting(controls: Controls, backbones: Sequence[str], columns: Sequence[str], where: str) -> None:
    """Raise UserError, with the nearest name, where a control is no backbone or a threshold no column of the suite."""
    for name in ("negative", "positive"):
        require_choice(f"{where}: {name}", getattr(controls, name), backbones)
    if controls.negative == controls.positive:
        raise UserError(f"{where}: '{controls.negative}' cannot be both the negative and the positive control")
    for column in controls.range:
        if column not in columns:
            raise UserError(f"{where}: range: the suite has no column '{column}'{did_you_mean(column, columns)}")


def stated_controls(suite: Mapping[str, Any]) -> Controls | None:
    """What a record says of its suite's controls; None where it states none, or nothing that can be read.

    Args:
        suite: :attr:`benchmarks.records.record.Record.suite_resolved`, which may be anybody's.
    """
    section = suite.get("controls")
    if not isinstance(section, Mapping):
        return None
    try:
        return read_controls(section, "controls")
    except UserError:
        return None
