"""What a number of runs can show, against simulation and against published tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.statistics.power import column_power, detectable, seeds_needed
from benchmarks.statistics.summary import pooled_std

DRAWS = 40_000


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("is_paired", [True, False])
def test_a_simulated_test_finds_the_detectable_difference_in_four_of_five_draws(n: int, is_paired: bool) -> None:
    from scipy.stats import ttest_1samp, ttest_ind

    spread, generator = 1.7, np.random.default_rng(n)
    true = detectable(spread, n, is_paired)
    assert true is not None
    found = generator.normal(true, spread, (DRAWS, n))
    if is_paired:
        p = ttest_1samp(found, 0.0, axis=1).pvalue
    else:
        p = ttest_ind(found, generator.normal(0.0, spread, (DRAWS, n)), axis=1).pvalue
    assert (p < 0.05).mean() == pytest.approx(0.8, abs=0.01)


def test_the_published_sample_sizes() -> None:
    """Cohen 1988, table 2.4.1: d of .5 needs 64 a side, d of .8 needs 26; paired, d of .5 needs 34 (G*Power)."""
    assert [seeds_needed(d, 1.0, is_paired=False) for d in (0.5, 0.8)] == [64, 26]
    assert seeds_needed(0.5, 1.0, is_paired=True) == 34
    assert seeds_needed(-0.5, 1.0, is_paired=True) == 34
    assert seeds_needed(0.01, 1.0, is_paired=True) is None
    assert seeds_needed(0.0, 1.0, is_paired=True) is None
    assert seeds_needed(1.0, 0.0, is_paired=True) == 2


def test_one_run_detects_nothing() -> None:
    assert detectable(1.0, 1, is_paired=True) is None


def test_pooled_spread_is_that_within_the_rows() -> None:
    rows = [[1.0, 2.0, 3.0], [10.0, 14.0], [7.0]]
    assert pooled_std(rows) == pytest.approx(math.sqrt((2 * 1.0 + 1 * 8.0) / 3))
    assert pooled_std([[1.0], [2.0]]) is None
    assert pooled_std([]) is None


def test_paired_rows_know_the_spread_of_their_differences() -> None:
    """What all rows share from seed to seed is no spread of a difference."""
    shared = {0: 0.0, 1: 10.0, 2: -7.0}
    noise = [{0: 0.1, 1: -0.2, 2: 0.1}, {0: -0.3, 1: 0.0, 2: 0.3}, {0: 0.0, 1: 0.2, 2: -0.2}]
    rows = [{seed: shared[seed] + own[seed] for seed in shared} for own in noise]
    power = column_power(rows)
    assert power is not None
    values = np.array([[row[seed] for seed in shared] for row in noise])
    variances = [np.var(values[a] - values[b], ddof=1) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert power.is_paired
    assert power.n == 3
    assert power.spread == pytest.approx(math.sqrt(np.mean(variances)))
    assert power.detects == pytest.approx(detectable(power.spread, 3, is_paired=True))


def test_rows_of_other_seeds_are_independent_samples() -> None:
    power = column_power([{0: 1.0, 1: 2.0, 2: 3.0}, {0: 5.0}])
    assert power is not None
    assert (power.is_paired, power.n, power.spread, power.detects) == (False, 1, 1.0, None)
    assert column_power([{0: 1.0}, {0: 2.0}]) is None
    assert column_power([]) is None
