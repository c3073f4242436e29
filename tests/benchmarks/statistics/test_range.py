"""Whether a column measures, by its controls."""

from __future__ import annotations

import math

import pytest

from benchmarks.statistics.range import measured_range

LOW = [10.0, 11.0, 12.0]


def at(difference: float, least_ratio: float = 3.0, least_difference: float = 0.0):
    rows = {"random": LOW, "supervised": [value + difference for value in LOW], "mls": [20.0]}
    return measured_range(rows, "random", "supervised", least_ratio, least_difference)


def test_the_ratio_is_in_pooled_spreads() -> None:
    found = at(4.0)
    assert (found.negative, found.positive, found.difference) == (11.0, 15.0, 4.0)
    assert found.spread == pytest.approx(1.0)
    assert found.ratio == pytest.approx(4.0)


@pytest.mark.parametrize(
    ("difference", "least_ratio", "least_difference", "standing"),
    [
        (4.0, 3.0, 0.0, "passes"),
        (3.0, 3.0, 0.0, "passes"),  # the border belongs to what was asked for
        (2.9, 3.0, 0.0, "fails"),
        (4.0, 3.0, 4.5, "fails"),
        (0.0, 0.0, 0.0, "fails"),
        (-5.0, 0.0, 0.0, "fails"),
    ],
)
def test_standing(difference: float, least_ratio: float, least_difference: float, standing: str) -> None:
    assert at(difference, least_ratio, least_difference).standing == standing


def test_a_missing_control_or_spread_is_unknown() -> None:
    missing = measured_range({"random": LOW}, "random", "supervised", 3.0)
    assert (missing.standing, missing.negative, missing.positive) == ("unknown", 11.0, None)
    single = {"random": [10.0], "supervised": [30.0]}
    found = measured_range(single, "random", "supervised", 3.0)
    assert (found.standing, found.spread, found.difference) == ("unknown", None, 20.0)
    assert measured_range(single, "random", "supervised", 3.0, 25.0).standing == "fails", "points need no spread"
    assert measured_range(single, "supervised", "random", 3.0).standing == "fails", "the wrong way round"


def test_values_that_do_not_vary() -> None:
    rows = {"random": [10.0, 10.0], "supervised": [11.0, 11.0]}
    found = measured_range(rows, "random", "supervised", 8.0)
    assert (found.standing, found.ratio) == ("passes", math.inf)
    assert measured_range(rows, "supervised", "random", 8.0).standing == "fails"


def test_of_an_error_the_positive_control_has_less() -> None:
    rows = {"random": [30.0, 31.0], "supervised": [10.0, 11.0]}
    found = measured_range(rows, "random", "supervised", least_ratio=3.0, lower_is_better=True)
    assert found.difference == 20.0
    assert found.standing == "passes"
    assert measured_range(rows, "random", "supervised", least_ratio=3.0).standing == "fails"
