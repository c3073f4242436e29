"""LOST against a slow oracle, and on maps whose object is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.dense.discovery import corloc
from benchmarks.dense.lost import GridBox, centred, lost_box


def oracle(tokens: Tensor, rows: int, columns: int, expand: int) -> GridBox:
    count = len(tokens)
    dot = [[sum(float(a) * float(b) for a, b in zip(tokens[i], tokens[j], strict=True)) for j in range(count)]
           for i in range(count)]  # fmt: skip
    degrees = [sum(dot[i][j] > 0 for j in range(count) if j != i) for i in range(count)]
    order = sorted(range(count), key=lambda i: (degrees[i], i))
    seed = order[0]
    similar = [i for i in order[:expand] if dot[seed][i] > 0]
    belongs = {j for j in range(count) if sum(dot[i][j] for i in similar) > 0} | {seed}
    component, border = {seed}, [seed]
    while border:
        row, column = divmod(border.pop(), columns)
        for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            place = r * columns + c
            if 0 <= r < rows and 0 <= c < columns and place in belongs and place not in component:
                component.add(place)
                border.append(place)
    at = [divmod(place, columns) for place in component]
    return GridBox(min(c for _, c in at), min(r for r, _ in at), max(c for _, c in at) + 1, max(r for r, _ in at) + 1)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("centre", ["map", "channel"])
def test_the_box_is_the_oracles(seed: int, centre: str) -> None:
    generator = torch.Generator().manual_seed(seed)
    feature_map = torch.randn(3, 5, 7, generator=generator).relu() + torch.linspace(0, 0.2, 7)
    tokens = centred(feature_map, centre)
    for expand in (1, 6, 100):
        assert lost_box(tokens, 5, 7, expand) == oracle(tokens, 5, 7, expand)


def test_an_object_that_differs_from_its_ground_is_found() -> None:
    feature_map = torch.zeros(2, 8, 8)
    feature_map[0] = 1.0
    feature_map[:, 2:5, 3:7] = torch.tensor([0.0, 1.0])[:, None, None]
    for centre in ("map", "channel"):
        assert lost_box(centred(feature_map, centre), 8, 8, 8) == GridBox(3, 2, 7, 5)


def test_a_constant_map_gives_a_cell_and_no_error() -> None:
    assert lost_box(centred(torch.ones(4, 3, 3), "map"), 3, 3, 100) == GridBox(0, 0, 1, 1)


def test_centring() -> None:
    feature_map = torch.rand(3, 4, 5) * 7 + 2
    whole = centred(feature_map, "map")
    assert whole.mean().abs() < 1e-12
    assert whole.var(unbiased=False).item() == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(centred(feature_map, "channel").mean(dim=0), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(whole[7], (feature_map[:, 1, 2].double() - feature_map.double().mean()) / (
        feature_map.double().var(unbiased=False) + 1e-5
    ).sqrt())  # fmt: skip


def test_corloc_counts_any_object_from_half_overlap_on() -> None:
    truth = {0: torch.tensor([[0.0, 0.0, 0.5, 1.0], [0.8, 0.8, 1.0, 1.0]]), 1: torch.tensor([[0.0, 0.0, 0.4, 1.0]])}
    whole = dict.fromkeys(truth, torch.tensor([0.0, 0.0, 1.0, 1.0]))
    assert corloc(whole, truth, 0.5) == 50.0  # .5 is right, .4 is not
    assert corloc({0: torch.tensor([0.8, 0.8, 1.0, 1.0]), 1: truth[1][0]}, truth, 0.5) == 100.0
