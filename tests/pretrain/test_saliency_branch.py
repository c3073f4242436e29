"""The saliency-guided method on either base: its loss, its weights, its crops, and that it leaves the base alone."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import BATCH, batch_of
from PIL import Image
from torch import Tensor

from pretrain.data.loading import PretrainDataset
from pretrain.data.views import Batch
from pretrain.losses import byol_loss
from pretrain.methods.saliency.branch import BASES, PredictedCrops
from pretrain.methods.saliency.keys import SALIENCY_BASES
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe

RECIPES = {"moco": "saliency_demo", "byol": "saliency_byol_demo"}
SMALL = [
    "network.stem_width=8", "network.projector.hidden_dim=16", "network.projector.output_dim=8",
    "byol.predictor_hidden_dim=12", "moco.queue_size=16", "schedule.batch_size=4", "schedule.epochs=10",
    "views.crop_size=32", "saliency.crop_size=32", "saliency.map_input_size=64", "data.cache=none",
]  # fmt: skip
both_bases = pytest.mark.parametrize("base", SALIENCY_BASES)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(10)]
    for index, path in enumerate(paths):
        Image.fromarray(rng.integers(0, 256, (40, 40 + 8 * index, 3), dtype=np.uint8)).save(path)
    return paths


def recipe_of(base: str, *overrides: str) -> Recipe:
    return load_recipe(RECIPES[base], [*SMALL, *overrides])


def build(base: str, images: list[Path], *overrides: str, maps: Tensor | None = None) -> Saliency:
    torch.manual_seed(3)
    method = Saliency(recipe_of(base, *overrides), images)
    method.train()
    if maps is not None:
        method.maps.refresh(maps, 0)
    return method


def some_maps() -> Tensor:
    return torch.randint(1, 256, (10, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_every_base_of_the_recipes_exists() -> None:
    assert tuple(BASES) == SALIENCY_BASES


# --- the base is left alone ---------------------------------------------------------------------------------------


@both_bases
def test_global_part_and_running_statistics_are_the_bases(base: str, images: list[Path]) -> None:
    method = build(base, images)
    torch.manual_seed(3)
    alone = method_class(base)(method.recipe, images).train()
    for step in range(2):
        batch = batch_of(seed=step, pairs=2)
        _, log = method(batch)
        loss, alone_log = alone(batch)
        [part] = [name for name in alone_log if name.startswith("loss_")]
        assert torch.equal(log[part], loss.detach())
        method.after_step()
        alone.after_step()
    ours, theirs = method.base.state_dict(), alone.state_dict()
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        assert torch.equal(ours[name], value) if isinstance(value, Tensor) else ours[name] == value, name
    assert method.branch == alone.branch
    assert method.backbone is method.base.leader.backbone


@both_bases
def test_leaders_learn_and_followers_follow_by_one_momentum(base: str, images: list[Path]) -> None:
    method = build(base, images, maps=some_maps())
    loss, _ = method(batch_of(pairs=2))
    loss.backward()
    learning = {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    followers = ("base.key_encoder.", "base.target_encoder.", "crops.follower_projector.")
    assert learning == {name for name, _ in method.named_parameters() if not name.startswith(followers)}
    with torch.no_grad():
        for parameter in method.crops.projector.parameters():
            parameter.add_(1.0)
    before = [parameter.clone() for parameter in method.crops.follower_projector.parameters()]
    momentum = method.base.step_momentum
    method.after_step()
    for now, was in zip(method.crops.follower_projector.parameters(), before, strict=True):
        assert torch.allclose(now, was + (1 - momentum), atol=1e-5)
    assert not any("backbone" in name for name in method.crops.state_dict())  # saved once, by the base


# --- the crop branch ----------------------------------------------------------------------------------------------


def test_with_byol_crops_predict_each_other_in_a_space_of_their_own(images: list[Path]) -> None:
    method = build("byol", images)
    crops = method.crops
    assert isinstance(crops, PredictedCrops)
    with torch.no_grad():  # followers that are no longer copies
        for parameter in [*method.base.follower.parameters(), *crops.follower_projector.parameters()]:
            parameter.mul_(1.1)
    batch = batch_of(pairs=2)
    assert batch.local_views is not None
    found = method.local_losses(batch)
    views = [method.normalised(batch.local_views.flatten(0, 1)[:, view]) for view in range(2)]
    predictions = [crops.predictor(crops.projector(method.base.leader.backbone(view))) for view in views]
    targets = [crops.follower_projector(method.base.follower.backbone(view)) for view in views]
    expected = byol_loss(predictions[0], targets[1]) + byol_loss(predictions[1], targets[0])
    assert torch.allclose(found, expected.reshape(BATCH, 2), atol=1e-4)


@both_bases
def test_the_local_loss_is_the_weighted_mean_over_pairs_and_images(base: str, images: list[Path]) -> None:
    method = build(base, images, "saliency.loss_weight=0.3", maps=some_maps())
    batch = batch_of(pairs=2)
    loss, log = method(batch)
    weights, losses = method.weights(batch)[0].tolist(), method.local_losses(batch).tolist()
    expected = sum(weights[n][k] * losses[n][k] for n in range(BATCH) for k in range(2)) / (2 * BATCH)
    assert float(log["loss_local"]) == pytest.approx(expected, rel=1e-5)
    [part] = [name for name in log if name in ("loss_infonce", "loss_byol")]
    assert loss.item() == pytest.approx(float(log[part]) + 0.3 * expected, rel=1e-5)


# --- the weights --------------------------------------------------------------------------------------------------


@both_bases
def test_beta_zero_is_the_unweighted_loss_exactly(base: str, images: list[Path]) -> None:
    method = build(base, images, "saliency.beta=0", maps=some_maps())
    batch = batch_of(pairs=2)
    _, log = method(batch)
    assert torch.equal(method.weights(batch)[0], torch.ones(BATCH, 2))
    assert torch.equal(log["loss_local"], method.local_losses(batch).mean().detach())


@both_bases
@pytest.mark.parametrize("value", [255, 40, 0])
def test_a_constant_map_weighs_all_pairs_alike(base: str, value: int, images: list[Path]) -> None:
    method = build(base, images, maps=torch.full((10, 2, 2), value, dtype=torch.uint8))
    assert torch.allclose(method.weights(batch_of(pairs=2))[0], torch.ones(BATCH, 2), atol=1e-6)


@both_bases
@pytest.mark.parametrize("over", ["image", "batch"])
def test_weights_have_mean_one_and_no_gradient_passes_them(base: str, over: str, images: list[Path]) -> None:
    method = build(base, images, f"saliency.normalise={over}", maps=some_maps())
    batch = batch_of(pairs=2)
    weights, scores = method.weights(batch)
    assert not weights.requires_grad
    assert not scores.requires_grad
    assert float((weights - 1).abs().max()) > 0.05
    means = weights.mean(dim=1) if over == "image" else weights.mean()[None]
    assert torch.allclose(means, torch.ones_like(means), atol=1e-6)
    # The whole gradient is that of a fixed mixture of the pairs' losses.
    weight = method.crops.projector[0].weight
    (found,) = torch.autograd.grad(method(batch)[0], weight)
    losses = method.local_losses(batch)
    fixed = torch.tensor(weights.tolist())
    (expected,) = torch.autograd.grad((fixed * losses).mean() * method.recipe.saliency.loss_weight, weight)
    assert torch.allclose(found, expected, atol=1e-6)


# --- the ablation -------------------------------------------------------------------------------------------------


def loaded(base: str, images: list[Path], crops: str, beta: float) -> tuple[Saliency, Batch]:
    method = build(base, images, f"saliency.crops={crops}", f"saliency.beta={beta}", maps=some_maps())
    return method, PretrainDataset(method.recipe, images, method.local_box_sampler()).load_batch(0, 0)


@both_bases
def test_the_four_cells_of_the_ablation_see_equally_many_pixels(base: str, images: list[Path]) -> None:
    cells = {key: loaded(base, images, *key) for key in itertools.product(("random", "saliency"), (0.0, 1.0))}
    _, reference = cells["random", 0.0]
    parameters = set()
    for method, batch in cells.values():
        assert batch.local_views is not None
        assert batch.local_views.shape == (BATCH, 2, 2, 3, 32, 32)
        assert torch.equal(batch.indices, reference.indices)
        assert torch.equal(batch.global_views, reference.global_views)
        parameters.add(sum(parameter.numel() for parameter in method.parameters()))
    assert len(parameters) == 1
    for crops in ("random", "saliency"):  # the weights do not change what is drawn
        weighted, unweighted = (cells[crops, beta][1].local_views for beta in (1.0, 0.0))
        assert weighted is not None
        assert unweighted is not None
        assert torch.equal(weighted, unweighted)
    by_saliency, at_random = (cells[crops, 0.0][1].local_boxes for crops in ("saliency", "random"))
    assert by_saliency is not None
    assert at_random is not None
    assert not torch.equal(by_saliency, at_random)


# --- checkpoints --------------------------------------------------------------------------------------------------


@both_bases
def test_a_checkpoint_carries_base_branch_and_maps(base: str, images: list[Path]) -> None:
    method = build(base, images, maps=some_maps())
    for step in range(3):
        method(batch_of(seed=step, pairs=2))
        method.after_step()
    other = build(base, images)
    other.load_state_dict(method.state_dict())
    batch = batch_of(seed=9, pairs=2)
    assert torch.equal(other(batch)[0], method(batch)[0])
    assert torch.equal(other.maps.values, method.maps.values)
    assert other.base.step_momentum == method.base.step_momentum
