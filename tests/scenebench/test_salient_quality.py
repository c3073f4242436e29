"""Maps against masks: every measure against a slow count, and the rules for constant and inverted maps."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from scenebench.salient_quality import (
    centre_prior,
    enlarged,
    f_curve,
    in_cells,
    mean_absolute_error,
    rank_auc,
    salient_quality,
    unit_map,
)


def made_up(seed: int, ties: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    values = rng.random((11, 14)).astype(np.float32)
    if ties:
        values = (np.round(values * 5) / 5).astype(np.float32)
    return torch.from_numpy(values), torch.from_numpy(rng.random((11, 14)) < 0.3)


def slow_curve(one: np.ndarray, mask: np.ndarray) -> list[float]:
    """F at each of the 256 thresholds, counted pixel by pixel."""
    values = []
    for threshold in range(256):
        picked = {place for place in np.ndindex(one.shape) if math.floor(one[place] * 255) >= threshold}
        salient = {place for place in np.ndindex(mask.shape) if mask[place]}
        right = len(picked & salient)
        precision, recall = (right / len(picked) if picked else 0.0), right / len(salient)
        values.append(1.3 * precision * recall / (0.3 * precision + recall) if right else 0.0)
    return values


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_of_f_is_that_of_a_slow_count(seed: int, ties: bool) -> None:
    one, mask = made_up(seed, ties)
    np.testing.assert_allclose(f_curve(one, mask).numpy(), slow_curve(one.numpy(), mask.numpy()), rtol=0, atol=1e-12)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_auc_is_that_of_scikit_learn(seed: int, ties: bool) -> None:
    one, mask = made_up(seed, ties)
    expected = roc_auc_score(mask.numpy().ravel(), one.double().numpy().ravel())
    assert rank_auc(one, mask) == pytest.approx(expected, abs=1e-12)
    assert rank_auc(1 - one, mask) == pytest.approx(1 - expected, abs=1e-6), "a map is never inverted"


def test_auc_is_the_mean_of_auc_judd_over_its_random_jitter() -> None:
    """AUC-Judd as its authors' code has it: thresholds at the positives, trapezia, ties broken by jitter of 1e-7."""
    one, mask = made_up(1, ties=True)
    rng, values = np.random.default_rng(0), []
    for _ in range(400):
        jittered = one.double().numpy() + rng.random(one.shape) * 1e-7
        thresholds = np.sort(jittered[mask.numpy()])[::-1]
        n, outside = len(thresholds), int((~mask).sum())
        above = np.array([(jittered >= value).sum() for value in thresholds])
        hits = np.array([0, *(np.arange(1, n + 1) / n), 1])
        wrong = np.array([0, *((above - np.arange(1, n + 1)) / outside), 1])
        values.append(np.trapezoid(hits, wrong))
    assert -0.002 <= np.mean(values) - rank_auc(one, mask) <= 1 / (2 * int(mask.sum())) + 0.002


def test_the_maximum_is_of_the_mean_curve_and_not_the_mean_of_the_maxima() -> None:
    pairs = [made_up(seed) for seed in range(4)]
    scaled = [(one**power, mask) for power, (one, mask) in zip((0.3, 1, 3, 6), pairs, strict=True)]
    found = salient_quality([one for one, _ in scaled], [mask for _, mask in scaled])
    curves = [slow_curve(unit_map(one).numpy(), mask.numpy()) for one, mask in scaled]
    assert found.max_f == pytest.approx(np.mean(curves, axis=0).max(), abs=1e-9)
    assert found.max_f < np.mean([max(curve) for curve in curves]) - 1e-3
    distances = [np.abs(unit_map(one).numpy() - mask.numpy()).mean() for one, mask in scaled]
    assert found.mae == pytest.approx(np.mean(distances), abs=1e-6)
    assert found.auc == pytest.approx(np.mean([rank_auc(one, mask) for one, mask in scaled]), abs=1e-6)


def test_a_map_is_brought_to_the_unit_range_and_a_constant_one_says_everything() -> None:
    one, mask = made_up(0)
    plain, moved = salient_quality([one], [mask]), salient_quality([one * 7 - 3], [mask])
    assert (plain.max_f, plain.mae, plain.auc) == pytest.approx((moved.max_f, moved.mae, moved.auc), abs=1e-5)
    share = float(mask.float().mean())
    for constant in (torch.zeros(3, 4), torch.full((3, 4), 0.3), torch.full((3, 4), math.nan)):
        flat = salient_quality([constant], [mask])
        assert flat.auc == 0.5
        assert flat.mae == pytest.approx(1 - share, abs=1e-6)
        assert flat.max_f == pytest.approx(1.3 * share / (0.3 * share + 1))


def test_labels_known_are_perfect_and_in_cells_nearly() -> None:
    mask = torch.zeros(40, 60, dtype=torch.bool)
    mask[8:24, 15:45] = True
    perfect = salient_quality([mask.float()], [mask])
    assert (perfect.max_f, perfect.mae, perfect.auc) == (1.0, 0.0, 1.0)
    few = in_cells(mask, (4, 4))
    assert few.shape == (4, 4)
    assert float(few.mean()) == pytest.approx(float(mask.float().mean()))
    coarse = salient_quality([few], [mask])
    assert 0.95 < coarse.auc < 1
    assert 0.6 < coarse.max_f < 1
    uneven = in_cells(mask[:, :59], (7, 7))
    assert uneven.shape == (7, 7)
    assert bool(((uneven >= 0) & (uneven <= 1)).all())


def test_the_centre_prior_is_a_gaussian_of_a_quarter_of_each_side() -> None:
    prior = centre_prior((8, 20))
    assert prior.shape == (8, 20)
    assert torch.allclose(prior, prior.flip(0).flip(1))
    y, x = (2.5 / 8 - 0.5), (4.5 / 20 - 0.5)
    assert float(prior[2, 4]) == pytest.approx(math.exp(-(y * y + x * x) / (2 * 0.25**2)))


def test_enlarging_is_bilinear_and_leaves_the_right_size_alone() -> None:
    one = torch.tensor([[0.0, 1.0]])
    torch.testing.assert_close(enlarged(one, (1, 4)), torch.tensor([[0.0, 0.25, 0.75, 1.0]]))
    assert enlarged(one, (1, 2)) is one
    assert mean_absolute_error(one, torch.tensor([[True, False]])) == 1.0
