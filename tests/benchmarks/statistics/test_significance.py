"""Welch's test, paired tests and Holm's correction, by hand and against scipy's own pairing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.statistics.significance import holm, paired_p, paired_test, welch_p
from benchmarks.statistics.summary import Summary, summarise


def summary(*values: float) -> Summary:
    found = summarise(values)
    assert found is not None
    return found


def test_welch_by_hand() -> None:
    """Variances 1 and 4 over 3 runs: t = 3 / sqrt(5/3), df = (5/3)^2 / ((1/3)^2/2 + (4/3)^2/2) = 50/17."""
    found = welch_p(summary(4.0, 5.0, 6.0), summary(0.0, 2.0, 4.0))
    assert found == pytest.approx(2 * stats.t.sf(3 / math.sqrt(5 / 3), 50 / 17))


def test_there_is_no_test_of_one_run_or_without_any_spread() -> None:
    assert welch_p(summary(1.0), summary(1.0, 2.0)) is None
    assert welch_p(summary(1.0, 2.0), summary(1.0)) is None
    assert welch_p(summary(2.0, 2.0), summary(1.0, 1.0)) is None


def test_there_is_no_test_of_one_pair_or_of_equal_differences() -> None:
    assert paired_p([]) is None
    assert paired_p([1.5]) is None
    assert paired_p([0.0, 0.0, 0.0]) is None
    assert paired_p([18.1 - 17.1, 18.3 - 17.3, 18.5 - 17.5]) is None  # unequal by rounding alone


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    for p, q in zip(p_values, adjusted, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12 or q == max(adjusted)
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    assert [adjusted[i] for i in order] == sorted(adjusted)


def test_the_paired_test_is_scipys_and_takes_shared_seeds_only() -> None:
    values, baseline = {0: 3.0, 1: 4.5, 2: 5.0, 9: 100.0}, {2: 4.4, 1: 4.0, 0: 2.9, 7: -100.0}
    oracle = stats.ttest_rel([3.0, 4.5, 5.0], [2.9, 4.0, 4.4])
    found = paired_test(values, baseline)
    assert found is not None
    assert found.n == 3
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(oracle.confidence_interval()))
    assert found.difference == pytest.approx(0.4)


def test_pairs_without_a_spread_have_no_test() -> None:
    assert paired_test({0: 1.0}, {1: 1.0}) is None
    for values in ({0: 2.0}, {0: 2.0, 1: 3.0}):
        found = paired_test(values, {0: 1.0, 1: 2.0})
        assert found is not None
        assert (found.difference, found.p, found.low) == (1.0, None, None)
