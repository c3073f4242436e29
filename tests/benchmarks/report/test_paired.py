"""Paired tests and Holm's correction against scipy and by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from benchmarks.report.paired import holm, paired_interval, paired_t, paired_test


@pytest.mark.parametrize("n", [2, 3, 7, 30])
def test_the_paired_test_is_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(50, 2, n), rng.normal(51, 2, n)
    found = paired_t(list(b - a))
    wanted = stats.ttest_rel(b, a)
    assert found is not None
    assert found.df == n - 1
    assert found.t == pytest.approx(wanted.statistic)
    assert found.p == pytest.approx(wanted.pvalue)


def test_there_is_no_test_of_one_pair_or_of_equal_differences() -> None:
    assert paired_t([]) is None
    assert paired_t([1.5]) is None
    assert paired_t([0.0, 0.0, 0.0]) is None
    assert paired_t([18.1 - 17.1, 18.3 - 17.3, 18.5 - 17.5]) is None  # unequal by rounding alone
    assert paired_interval([1.5]) is None


def test_the_interval_is_that_of_every_resample_of_the_pairs() -> None:
    differences = [0.5, 1.0, 3.0]
    means = sorted(sum(chosen) / 3 for chosen in itertools.product(differences, repeat=3))
    low, high = paired_interval(differences) or (None, None)
    assert low == pytest.approx(means[0])  # 27 resamples: 2.5 % is the first
    assert high == pytest.approx(means[-1])


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
