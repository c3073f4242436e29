"""The invariants of the saliency-guided method, against slow oracles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pretrain import saliency
from pretrain.methods.saliency.boxes import box_iou, cell_probabilities, draw_pairs
from pretrain.methods.saliency.keys import SaliencyRecipe
from pretrain.recipes.recipe import resolve_recipe

RECIPE = SaliencyRecipe()


def draw_many(
    saliency_map: np.ndarray, count: int, recipe: SaliencyRecipe = RECIPE, aspect: float = 4 / 3
) -> np.ndarray:
    return np.stack([draw_pairs(saliency_map, aspect, recipe, np.random.default_rng([7, i])) for i in range(count)])


def peaked(height: int = 7, width: int = 7) -> np.ndarray:
    """Two salient places in opposite corners."""
    grid = np.zeros((height, width))
    grid[1, 1], grid[height - 2, width - 2] = 1.0, 0.8
    return grid


# --- maps ---------------------------------------------------------------------------------------------------------


def test_activation_map_is_the_normalised_channel_sum() -> None:
    features = torch.rand(3, 5, 4, 6)
    maps = saliency.activation_maps(features)
    for n in range(3):
        sums = [[sum(float(features[n, c, y, x]) for c in range(5)) for x in range(6)] for y in range(4)]
        low, high = min(map(min, sums)), max(map(max, sums))
        expected = [[(value - low) / (high - low + 1e-6) for value in row] for row in sums]
        assert torch.allclose(maps[n], torch.tensor(expected), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 3.7, float("nan"), float("inf")])
def test_flat_and_broken_maps_become_uniform(value: float) -> None:
    features = torch.rand(2, 5, 7, 7)
    features[1] = value
    maps = saliency.activation_maps(features)
    assert torch.equal(maps[1], torch.ones(7, 7))
    assert float(maps[0].min()) == 0
    assert float(maps[0].max()) == pytest.approx(1, abs=1e-5)


def test_one_broken_cell_spoils_only_its_image() -> None:
    features = torch.rand(2, 5, 7, 7)
    features[0, 3, 2, 2] = float("nan")
    maps = saliency.activation_maps(features)
    assert torch.equal(maps[0], torch.ones(7, 7))
    assert torch.equal(maps[1], saliency.activation_maps(features[1:])[0])


def test_the_cache_loses_at_most_half_a_step() -> None:
    maps = torch.rand(4, 7, 7)
    stored = saliency.to_uint8(maps)
    assert stored.dtype == torch.uint8
    assert float((saliency.to_float(stored) - maps).abs().max()) <= 0.5 / 255 + 1e-6
    assert torch.equal(saliency.to_float(saliency.to_uint8(torch.ones(1, 7, 7))), torch.ones(1, 7, 7))


@pytest.mark.parametrize("count", [2, 3, 17])
def test_shuffled_maps_are_all_of_other_images(count: int) -> None:
    maps = torch.arange(count)[:, None, None].expand(count, 2, 2).clone()
    shuffled = saliency.shuffled_maps(maps, np.random.default_rng(3))[:, 0, 0].tolist()
    assert sorted(shuffled) == list(range(count))
    assert all(index != own for own, index in enumerate(shuffled))


# --- scores -------------------------------------------------------------------------------------------------------


def slow_score(saliency_map: Tensor, box: np.ndarray) -> float:
    """Overlap of the box with every cell, one by one."""
    height, width = saliency_map.shape
    total = 0.0
    for y in range(height):
        for x in range(width):
            across = min(box[2] * width, x + 1) - max(box[0] * width, x)
            down = min(box[3] * height, y + 1) - max(box[1] * height, y)
            total += max(0.0, across) * max(0.0, down) * float(saliency_map[y, x])
    return total / ((box[2] - box[0]) * (box[3] - box[1]) * width * height)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9))
def test_box_scores_equal_the_sum_over_cells(seed: int, height: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    maps = torch.from_numpy(rng.random((2, height, width)))
    corners = np.sort(rng.random((2, 3, 2, 2)), axis=2)
    corners[:, 0] = [[0, 0], [1, 1]]  # the whole image: borders are exact
    corners[:, :, 1] = np.maximum(corners[:, :, 1], corners[:, :, 0] + 1e-3).clip(max=1)
    boxes = corners.reshape(2, 3, 4)
    found = saliency.box_scores(maps, torch.from_numpy(boxes))
    expected = [[slow_score(maps[n], boxes[n, m]) for m in range(3)] for n in range(2)]
    assert np.allclose(found.numpy(), expected, atol=1e-6)
    assert np.allclose(found[:, 0].numpy(), maps.mean(dim=(1, 2)).numpy(), atol=1e-6)


def test_pair_score_is_the_geometric_mean_and_in_range() -> None:
    maps = torch.rand(5, 7, 7)
    boxes = torch.from_numpy(np.stack([draw_many(peaked(), 1)[0] for _ in range(5)]))
    scores = saliency.pair_scores(maps, boxes)
    single = saliency.box_scores(maps, boxes.flatten(1, 2)).reshape(5, RECIPE.pairs, 2)
    assert torch.allclose(scores, (single[..., 0] * single[..., 1]).sqrt())
    assert bool(((scores >= 0) & (scores <= 1)).all())


# --- weights ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from([0.5, 1.0, 2.0]))
def test_weights_follow_the_formula_with_mean_one(seed: int, pairs: int, beta: float) -> None:
    scores = torch.from_numpy(np.random.default_rng(seed).random((6, pairs)))
    weights = saliency.loss_weights(scores, beta)
    for n in range(6):
        powers = [float(s) ** beta for s in scores[n]]
        assert weights[n].tolist() == pytest.approx([p / (sum(powers) / pairs) for p in powers])
    assert torch.allclose(weights.mean(dim=1), torch.ones(6, dtype=torch.float64))


def test_weights_over_the_batch_have_mean_one_over_the_batch() -> None:
    scores = torch.tensor([[0.2, 0.4], [0.6, 0.8]])
    weights = saliency.loss_weights(scores, 1.0, normalise="batch")
    assert torch.allclose(weights, scores / 0.5)


def test_beta_zero_is_the_unweighted_loss_exactly() -> None:
    losses, scores = torch.rand(6, 2), torch.rand(6, 2)
    scores[0] = 0
    assert torch.equal((saliency.loss_weights(scores, 0.0) * losses).mean(), losses.mean())


def test_equal_scores_weigh_equally_and_zeros_are_guarded() -> None:
    assert torch.equal(saliency.loss_weights(torch.full((3, 2), 0.25), 1.0), torch.ones(3, 2))
    assert torch.equal(saliency.loss_weights(torch.zeros(3, 2), 2.0), torch.ones(3, 2))


def test_no_gradient_passes_the_weights() -> None:
    scores = torch.rand(3, 2, requires_grad=True)
    assert not saliency.loss_weights(scores, 1.0).requires_grad


def test_constant_map_gives_weight_one() -> None:
    boxes = torch.from_numpy(draw_many(np.ones((7, 7)), 8))
    scores = saliency.pair_scores(torch.ones(8, 7, 7), boxes)
    assert torch.allclose(saliency.loss_weights(scores, 1.0), torch.ones(8, RECIPE.pairs), atol=1e-6)


# --- boxes --------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.4, 2.5), st.integers(1, 4), st.sampled_from([0.0, 1.0, 2.0, 4.0]))
def test_boxes_lie_in_the_image_and_partners_overlap(seed: int, aspect: float, pairs: int, gamma: float) -> None:
    recipe = dataclasses.replace(RECIPE, pairs=pairs, beta=0.0, gamma=gamma)
    rng = np.random.default_rng(seed)
    boxes = draw_pairs(rng.random((7, 7)), aspect, recipe, rng)
    assert boxes.shape == (pairs, 2, 4)
    assert boxes.min() >= 0
    assert boxes.max() <= 1
    assert (boxes[..., 2:] > boxes[..., :2]).all()
    overlap = box_iou(boxes[:, 0], boxes[:, 1])
    assert ((overlap > 0.5) | (boxes[:, 0] == boxes[:, 1]).all(axis=1)).all()


def test_same_seed_same_boxes() -> None:
    grid = np.random.default_rng(0).random((7, 7))
    first, second, other = (draw_pairs(grid, 1.0, RECIPE, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 16 / 9])
def test_anchor_areas_ratios_and_sides_are_those_of_the_recipe(aspect: float) -> None:
    recipe = dataclasses.replace(RECIPE, min_side=0.25)
    anchors = draw_many(np.ones((7, 7)), 2000, recipe, aspect)[:, :, 0].reshape(-1, 4)
    width = (anchors[:, 2] - anchors[:, 0]) * aspect  # in units of the image's height
    height = anchors[:, 3] - anchors[:, 1]
    shorter = min(aspect, 1.0)
    assert min(width.min(), height.min()) >= 0.25 * shorter - 1e-9
    free = (width > 0.2501 * shorter) & (height > 0.2501 * shorter) & (width < 0.9999 * aspect) & (height < 0.9999)
    ratio, area = (width / height)[free], (width * height / aspect)[free]
    assert ratio.min() >= 3 / 4 - 1e-9
    assert ratio.max() <= 4 / 3 + 1e-9
    assert area.min() >= 0.05 - 1e-9
    assert area.max() <= 0.25 + 1e-9
    assert np.median(np.log(ratio)) == pytest.approx(0, abs=0.03)


def test_anchors_fall_on_cells_with_their_probability() -> None:
    """With tiny anchors, the anchor's centre tells its cell."""
    grid = np.random.default_rng(1).random((3, 4))
    tiny = dataclasses.replace(RECIPE, pairs=1, beta=0.0, area=(1e-4, 1e-4), min_side=0.0)
    anchors = draw_many(grid, 4000, tiny, aspect=1.0)[:, 0, 0]
    centre = (anchors[:, :2] + anchors[:, 2:]) / 2
    cells = np.floor(centre[:, 1] * 3).astype(int) * 4 + np.floor(centre[:, 0] * 4).astype(int)
    expected = (grid**2 / (grid**2).sum()).ravel()
    found = np.bincount(cells, minlength=12) / len(cells)
    assert np.abs(found - expected).max() < 4 * np.sqrt(expected.max() / len(cells))
    inside = np.modf(centre[:, 0] * 4)[0]
    assert inside.mean() == pytest.approx(0.5, abs=0.03)  # jittered uniformly within the cell


def test_constant_map_draws_as_gamma_zero_does() -> None:
    flat = draw_many(np.full((7, 7), 0.3), 50)
    gamma_zero = draw_many(peaked(), 50, dataclasses.replace(RECIPE, gamma=0.0))
    assert np.allclose(flat, gamma_zero)


@pytest.mark.parametrize("bad", [np.zeros((7, 7)), np.full((7, 7), np.nan), np.full((7, 7), np.inf)])
def test_empty_and_broken_maps_draw_uniformly(bad: np.ndarray) -> None:
    assert np.allclose(cell_probabilities(bad, 2.0), 1 / 49)


def test_second_anchor_keeps_off_the_first() -> None:
    one_spot = np.zeros((7, 7))
    one_spot[3, 3] = 1
    spread = np.ones((7, 7))
    for grid, share in ((spread, 0.001), (one_spot, 0.75)):
        anchors = draw_many(grid, 500)[:, :, 0]
        free = dataclasses.replace(RECIPE, anchor_max_iou=1.0)
        unchecked = draw_many(grid, 500, free)[:, :, 0]
        near = (box_iou(anchors[:, 0], anchors[:, 1]) > 0.5).mean()
        near_unchecked = (box_iou(unchecked[:, 0], unchecked[:, 1]) > 0.5).mean()
        assert near <= share * near_unchecked + 1e-9


def test_saliency_crops_are_more_salient_than_random_ones() -> None:
    grid = torch.from_numpy(peaked()).float()
    by_saliency = torch.from_numpy(draw_many(peaked(), 300)).reshape(1, -1, 4)
    at_random = torch.from_numpy(draw_many(np.ones((7, 7)), 300)).reshape(1, -1, 4)
    ours, control = (saliency.box_scores(grid[None], boxes).mean() for boxes in (by_saliency, at_random))
    assert float(ours) > 1.5 * float(control)


def test_partners_are_found_in_nearly_every_draw_and_centred() -> None:
    boxes = draw_many(np.ones((7, 7)), 500)
    same = (boxes[:, :, 0] == boxes[:, :, 1]).all(axis=-1)
    assert same.mean() < 0.02
    shift = boxes.mean(axis=(0, 1))
    assert np.allclose(shift[0], shift[1], atol=0.02)


# --- the cache and its schedule -----------------------------------------------------------------------------------


def test_refresh_schedule_starts_after_the_warm_up() -> None:
    from pretrain.methods.saliency.method import refresh_epochs

    def at(epochs: int, warmup: float, every: float) -> list[int]:
        own = {"warmup_share": warmup, "refresh_share": every}
        recipe = resolve_recipe({"method": "saliency", "schedule": {"epochs": epochs}, "saliency": own})
        return refresh_epochs(recipe)

    assert at(800, 0.2, 0.2) == [160, 320, 480, 640]
    assert at(10, 0.2, 0.4) == [2, 6]
    assert at(10, 0.0, 0.01) == list(range(10))
    assert at(10, 1.0, 0.2) == []


def test_the_cache_lives_at_one_address_and_survives_a_checkpoint(tmp_path: Path) -> None:
    from pretrain.methods.saliency.method import SaliencyCache

    cache = SaliencyCache(5, 224)
    seen_by_loader = cache.values.numpy()
    assert cache.size == (7, 7)
    assert SaliencyCache(5, 112).size == (4, 4)
    assert (seen_by_loader == 255).all()  # S = 1 until the first refresh
    maps = torch.randint(0, 256, (5, 7, 7), dtype=torch.uint8)
    cache.refresh(maps, 3)
    torch.save(cache.state_dict(), tmp_path / "cache.pt")
    assert (seen_by_loader == maps.numpy()).all()
    other = SaliencyCache(5, 224)
    loader_of_other = other.values.numpy()
    other.load_state_dict(torch.load(tmp_path / "cache.pt", weights_only=True))
    assert other.refreshed_at == 3
    assert (loader_of_other == maps.numpy()).all()
    assert torch.equal(other.of(torch.tensor([4, 0])), maps[[4, 0]])


def test_entropies_are_those_of_a_slow_sum() -> None:
    maps = np.random.default_rng(0).random((3, 4, 5))
    maps[1, 2:] = 0
    expected = []
    for one in maps:
        shares = [float(value / one.sum()) for value in one.ravel() if value > 0]
        expected.append(-sum(share * np.log(share) for share in shares) / np.log(20))
    found = saliency.map_entropies(torch.from_numpy(maps))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    single = torch.zeros(1, 4, 5)
    single[0, 1, 1] = 0.4
    rest = torch.cat([torch.full((1, 4, 5), 0.3), torch.zeros(1, 4, 5), single])
    assert saliency.map_entropies(rest).tolist() == pytest.approx([1, 1, 0])
    assert saliency.map_entropies(torch.ones(2, 1, 1)).tolist() == [1, 1]
