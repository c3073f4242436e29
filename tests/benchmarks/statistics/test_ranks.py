"""Ranks against a slow oracle: every resample of every backbone, written out."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from benchmarks.statistics import ranks
from benchmarks.statistics.ranks import Rank, rank_intervals

CASES = [
    [[1.0, 2.0, 3.0], [2.0, 2.5, 3.5], [0.0, 5.0, 1.0]],
    [[10.0, 11.0], [10.5, 10.6], [9.0, 12.0], [1.0, 2.0]],
    [[1.0, 1.0], [1.0, 1.0]],
    [[5.0], [4.0, 6.0], [5.5, 5.2]],
]


def oracle(values: list[list[float]]) -> list[Counter[int]]:
    """How often each backbone takes each rank, over all ordered resamples."""
    counts: list[Counter[int]] = [Counter() for _ in values]
    resamples = [list(itertools.product(mine, repeat=len(mine))) for mine in values]
    for drawn in itertools.product(*resamples):
        means = [sum(sorted(mine)) / len(mine) for mine in drawn]
        for index, mean in enumerate(means):
            counts[index][1 + sum(other > mean for other in means)] += 1
    return counts


@pytest.mark.parametrize("values", CASES)
def test_intervals_hold_what_the_oracle_says(values: list[list[float]]) -> None:
    for rank, counts, mine in zip(rank_intervals(values), oracle(values), values, strict=True):
        if len(mine) == 1:
            assert (rank.low, rank.high) == (None, None)
            continue
        assert rank.low is not None
        assert rank.high is not None
        total = counts.total()
        below = sum(n for place, n in counts.items() if place < rank.low) / total
        above = sum(n for place, n in counts.items() if place > rank.high) / total
        margin = 0.02  # of 1,000 draws
        assert below <= 0.025 + margin
        assert above <= 0.025 + margin
        assert below + counts[rank.low] / total >= 0.025 - margin
        assert above + counts[rank.high] / total >= 0.025 - margin


def test_seeds_of_different_numbers_and_many_backbones_are_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [[float(number), float(number) + 1, float(number) + 2][: 2 + number % 2] for number in range(0, 40, 5)]
    monkeypatch.setattr(ranks, "_AT_ONCE", 100)
    for number, rank in enumerate(rank_intervals(values)):
        place = len(values) - number
        assert rank == Rank(place, place, place), "their ranges do not meet"


def test_places_are_by_mean_and_equal_means_share_the_better() -> None:
    assert [rank.place for rank in rank_intervals([[1.0], [3.0], [3.0], [2.0]])] == [4, 1, 1, 3]
    assert rank_intervals([]) == []


def test_the_order_of_seeds_does_not_matter_and_clear_ranks_are_sure() -> None:
    values = [[1.0, 2.0, 3.0], [2.0, 2.5, 3.5]]
    assert rank_intervals(values) == rank_intervals([mine[::-1] for mine in values])
    assert rank_intervals([[90.0, 91.0], [10.0, 11.0]]) == [Rank(1, 1, 1), Rank(2, 2, 2)]
