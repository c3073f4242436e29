"""Kendall's tau, its interval, and the published orders."""

from __future__ import annotations

import itertools
import math

import pytest

from benchmarks.published.values import COMPARED_METHODS, published_orders, read_published
from benchmarks.statistics.rank_agreement import kendall_taus, rank_agreement


def test_tau_by_hand_and_with_ties() -> None:
    assert kendall_taus([[1, 2, 3], [3, 2, 1], [1, 3, 2]], [10, 20, 30]) == pytest.approx([1.0, -1.0, 1 / 3])
    (tied,) = kendall_taus([[1, 1, 2]], [10, 20, 30])
    assert tied == pytest.approx(2 / math.sqrt(2 * 3))
    assert kendall_taus([[5, 5, 5]], [1, 2, 3]) == [None]
    assert kendall_taus([[1, 2, 3]], [4, 4, 4]) == [None]


def test_an_order_that_no_resample_changes_has_no_width() -> None:
    measured = {"a": [1.0, 1.1], "b": [2.0, 2.1], "c": [3.0, 3.1], "d": [4.0, 4.1]}
    found = rank_agreement(measured, {"a": 10, "b": 20, "c": 30, "d": 40})
    assert found is not None
    assert (found.tau, found.low, found.high, found.n) == (1.0, 1.0, 1.0, 4)
    assert found.chance == pytest.approx(1 / 24)
    turned = rank_agreement(measured, {"a": 40, "b": 30, "c": 20, "d": 10})
    assert turned is not None
    assert (turned.tau, turned.chance) == (-1.0, 1.0)


def test_seeds_that_overlap_widen_the_interval() -> None:
    measured = {"a": [1.0, 9.0, 5.0], "b": [2.0, 8.0, 5.2], "c": [3.0, 7.0, 5.4], "d": [1.0, 9.0, 6.0]}
    found = rank_agreement(measured, {"a": 1, "b": 2, "c": 3, "d": 4, "not ours": 9})
    assert found is not None
    assert found.low < 0 < found.high
    reversed_seeds = {name: values[::-1] for name, values in measured.items()}
    assert found == rank_agreement(reversed_seeds, {"a": 1, "b": 2, "c": 3, "d": 4})
    assert rank_agreement({"a": [1.0]}, {"a": 1.0}) is None


def test_the_published_orders_have_all_four_methods_at_equal_epochs() -> None:
    orders = published_orders(read_published())
    assert all(values.keys() == COMPARED_METHODS.keys() for values in orders.values())
    assert orders["table1", "mask_rcnn_r50_fpn_1x", "box_AP", 800].keys() == COMPARED_METHODS.keys()
    assert {table for table, *_ in orders} == {"table1", "table2", "table3"}
    ours = {theirs: label for label, theirs in COMPARED_METHODS.items()}
    by_hand = {
        ours[v.method]: v.value
        for v in read_published()
        if (v.table, v.metric, v.pretrain_epochs) == ("table2", "mask_AP", 400) and v.method in ours
    }
    assert orders["table2", "mask_rcnn_r50_c4_1x", "mask_AP", 400] == by_hand


def test_all_24_orders_of_four_give_seven_values_of_tau() -> None:
    taus = {round(tau or 0.0, 6) for tau in kendall_taus(list(itertools.permutations(range(4))), range(4))}
    assert len(taus) == 7
