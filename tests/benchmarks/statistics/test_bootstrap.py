from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.statistics.bootstrap import bootstrap_interval, paired_interval

SIDES = st.lists(st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3)), min_size=2, max_size=4)


def test_one_run_has_no_interval() -> None:
    assert bootstrap_interval([1.0], [1.0, 2.0]) is None
    assert bootstrap_interval([1.0, 2.0], []) is None
    assert paired_interval([1.5]) is None


def test_the_interval_is_that_of_every_resample_of_the_pairs() -> None:
    differences = [0.5, 1.0, 3.0]
    means = sorted(sum(chosen) / 3 for chosen in itertools.product(differences, repeat=3))
    low, high = paired_interval(differences) or (None, None)
    assert low == pytest.approx(means[0])  # 27 resamples: 2.5 % is the first
    assert high == pytest.approx(means[-1])


@settings(max_examples=25)
@given(SIDES.filter(lambda side: len(side) < 4), SIDES.filter(lambda side: len(side) < 4))
def test_the_interval_is_that_of_every_resample(ours: list[float], theirs: list[float]) -> None:
    means = [
        [math.fsum(chosen) / len(side) for chosen in itertools.product(side, repeat=len(side))]
        for side in (ours, theirs)
    ]
    differences = sorted(a - b for a, b in itertools.product(*means))
    low, high = (differences[math.ceil(share * len(differences) - 1e-9) - 1] for share in (0.025, 0.975))
    assert bootstrap_interval(ours, theirs) == pytest.approx((low, high), abs=1e-9)


def test_the_interval_is_that_of_numpy() -> None:
    ours, theirs = [31.0, 31.5, 33.25], [29.0, 30.0, 30.125]
    a, b = (np.array(list(itertools.product(side, repeat=3))).mean(axis=1) for side in (ours, theirs))
    for confidence in (0.5, 0.8, 0.95):
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        wanted = np.quantile((a[:, None] - b[None, :]).ravel(), tails, method="inverted_cdf")
        assert bootstrap_interval(ours, theirs, confidence) == pytest.approx(tuple(wanted))


def test_many_runs_are_drawn_and_agree_with_the_normal_interval() -> None:
    rng = np.random.default_rng(5)
    ours, theirs = rng.normal(30, 2, 40).tolist(), rng.normal(28, 1, 40).tolist()
    found = bootstrap_interval(ours, theirs)
    assert found is not None
    width = 1.96 * math.sqrt(np.var(ours) / 40 + np.var(theirs) / 40)
    centre = float(np.mean(ours) - np.mean(theirs))
    assert found == pytest.approx((centre - width, centre + width), abs=0.05)


def test_the_order_of_the_runs_does_not_matter() -> None:
    rng = random.Random(1)
    for n in (3, 12):
        ours, theirs = [rng.random() for _ in range(n)], [rng.random() for _ in range(n)]
        assert bootstrap_interval(ours, theirs) == bootstrap_interval(ours[::-1], sorted(theirs))
