"""Pretraining vision transformers: recipes, one step of each method, saliency by attention, exact resume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import batch_of
from PIL import Image
from torch import Tensor, nn

from pretrain import losses, saliency
from pretrain.methods.base import Method
from pretrain.methods.mls import Mls
from pretrain.methods.moco import Moco, MomentumContrast
from pretrain.methods.saliency.method import Saliency
from pretrain.networks import Encoder, architecture_of, estimate_running_statistics, unchanged_running_statistics
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe, resolve_recipe
from pretrain.stopping import Stopped
from pretrain.train import pretrain
from scenebench.config import parse_overrides
from scenebench.errors import UserError
from transfer.backbone_file import load_backbone, load_network
from transfer.networks.resnet import Architecture
from transfer.networks.vit_architecture import VitArchitecture

VIT = [
    "network.family=vit", "network.depth=50", "network.stem_width=64", "network.vit.width=32", "network.vit.depth=2",
    "network.vit.heads=4", "network.vit.patch=8", "network.vit.image_size=32",
]  # fmt: skip
SMALL = [*VIT, "network.projector.output_dim=8", "schedule.batch_size=4", "schedule.epochs=3", "views.crop_size=32"]
METHOD_KEYS = {
    "moco": ["moco.queue_size=16"],
    "mls": ["mls.dictionary_size=16", "mls.k=3"],
    "saliency": [
        "moco.queue_size=16", "saliency.source=attention", "saliency.crop_size=32", "saliency.map_input_size=64",
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    paths = [folder / f"{index:02d}.png" for index in range(14)]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((48, 40)).save(path)
    return paths


def recipe_of(method: str, *overrides: str) -> Recipe:
    return load_recipe(f"{method}_demo", [*SMALL, *METHOD_KEYS[method], *overrides])


def recipe_with(*overrides: str, method: str = "moco") -> Recipe:
    return resolve_recipe({"method": method}, parse_overrides(overrides))


def build(method: str, images: list[Path], *overrides: str) -> Method:
    recipe = recipe_of(method, *overrides)
    torch.manual_seed(3)
    return method_class(method)(recipe, images).train()


# --- recipes ------------------------------------------------------------------------------------------------------


def test_the_recipe_asks_for_vit_small() -> None:
    recipe = load_recipe("moco_vit_coco")
    assert architecture_of(recipe.network) == VitArchitecture()
    assert architecture_of(recipe.network).name == "vit_small_patch16_224"
    assert architecture_of(recipe_with().network) == Architecture()
    assert resolve_recipe(recipe.to_plain()) == recipe
    assert load_recipe("mls_vit_coco").network == recipe.network


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["network.family=swin"], "network.family: unknown value 'swin'"),
        (["network.family=vit", "network.depth=18"], "network.depth: 18 is a ResNet's"),
        (["network.family=vit", "network.stem_width=32"], "network.stem_width: 32 is a ResNet's"),
        (["network.vit.depth=6"], "network.vit: has no effect with network.family=resnet"),
        (["network.family=vit", "network.vit.heads=5"], "network.vit.heads: 5 must be a divisor of the width 384"),
        (["network.family=vit", "network.vit.depth=0"], "network.vit.depth: 0"),
        (["network.family=vit", "network.vit.pach=8"], "did you mean 'patch'?"),
        (["network.family=vit", "network.vit.image_size=100"], "network.vit.image_size: 100 does not divide .* use 96"),
        (["network.family=vit", "views.crop_size=100"], "views.crop_size: 100 does not divide .*patch = 16; use 96"),
        (["network.family=vit", "network.bn_groups=2"], "network.bn_groups: 2 parts have nothing to act on"),
        (["network.family=vit", "network.vit.width=36"], "network.vit.width: 36 is not a multiple of 8"),
        (["network.family=vit", "method=densecl"], "network.family: vit does not go with method densecl.*; use resnet"),
        (
            ["network.family=vit", "probe.every_epochs=1", "probe.resolution=200"],
            "probe.resolution: 200 does not divide .* use 192",
        ),
        (
            ["network.family=vit", "method=random_init", "random_init.resolution=100"],
            "random_init.resolution: 100 does not divide",
        ),
        (
            ["network.family=vit", "method=saliency", "saliency.source=attention", "saliency.crop_size=100"],
            "saliency.crop_size: 100 does not divide",
        ),
        (
            ["network.family=vit", "method=saliency", "saliency.source=attention", "saliency.map_input_size=250"],
            "saliency.map_input_size: 250 does not divide .* use 256",
        ),
        (["network.family=vit", "method=saliency"], "saliency.source: activation needs .* use saliency.source=attent"),
        (["method=saliency", "saliency.source=attention"], "saliency.source: attention is a vision transformer's"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_that_names_the_key(overrides: list[str], told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        recipe_with(*overrides)
    assert "\n" not in str(caught.value)


def test_sizes_matter_only_where_they_are_used() -> None:
    recipe_with("network.family=vit", "views.crop_size=100", method="random_init")
    recipe_with("network.family=vit", "network.bn_groups=2", "network.projector.batch_norm=all")


# --- networks -----------------------------------------------------------------------------------------------------


def test_encoder_is_class_token_and_projector() -> None:
    torch.manual_seed(0)
    encoder = Encoder(recipe_of("moco").network)
    images = torch.randn(4, 3, 32, 32)
    features, embeddings = encoder(images)
    assert (features.shape, embeddings.shape) == ((4, 32), (4, 8))
    assert torch.equal(features, encoder.backbone(images))
    assert torch.equal(embeddings, encoder.projector(features))


def test_frozen_patches_get_no_gradient_and_all_else_does() -> None:
    torch.manual_seed(0)
    encoder = Encoder(recipe_of("moco", "network.vit.freeze_patches=true").network)
    encoder(torch.randn(4, 3, 32, 32))[1].square().sum().backward()
    without = {name for name, parameter in encoder.named_parameters() if parameter.grad is None}
    assert without == {"backbone.patch_embed.proj.weight", "backbone.patch_embed.proj.bias"}


def test_helpers_of_batch_norm_cope_without_any() -> None:
    backbone = Encoder(recipe_of("moco").network).backbone
    with unchanged_running_statistics(backbone):
        assert backbone(torch.randn(2, 3, 32, 32)).shape == (2, 32)

    def batches() -> Iterator[Tensor]:
        raise AssertionError("nothing to estimate, so nothing to read")
        yield torch.empty(0)

    assert estimate_running_statistics(backbone, batches()) == 0


# --- methods ------------------------------------------------------------------------------------------------------


def test_moco_is_info_nce_of_class_tokens_and_reaches_every_parameter(images: list[Path]) -> None:
    method = build("moco", images, "network.projector.batch_norm=none")
    assert isinstance(method, Moco)
    batch = batch_of(0, images=14)
    queue = method.dictionary.projections.double()
    loss, _ = method(batch)
    first, second = (method.normalised(batch.global_views[:, view]) for view in (0, 1))
    query = losses.normalise(method.query_encoder.projector(method.query_encoder.backbone(first))).double()
    key = losses.normalise(method.key_encoder.projector(method.key_encoder.backbone(second))).double()
    positive = ((query * key).sum(dim=1) / 0.2).exp()
    expected = -(positive / (positive + (query @ queue.T / 0.2).exp().sum(dim=1))).log().mean()
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    assert_gradients(method, loss)


def assert_gradients(method: MomentumContrast, loss: Tensor) -> None:
    """Every parameter of the query encoder has one that is not zero; the key encoder has none."""
    loss.backward()
    for name, parameter in method.query_encoder.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name
    assert all(parameter.grad is None for parameter in method.key_encoder.parameters())


def test_mls_labels_by_class_tokens_and_reaches_every_parameter(images: list[Path]) -> None:
    method = build("mls", images)
    assert isinstance(method, Mls)
    assert method.dictionary.features.shape == (16, 32)
    for step in range(4):
        method(batch_of(10 + step, images=14))
        method.after_step()
    batch = batch_of(0, images=14)
    features, embeddings, keys = method.encode(batch)
    _, labels, excluded = method.scores_and_labels(features, embeddings, keys)
    assert excluded is not None
    scores = losses.normalise(features.detach()) @ method.dictionary.features.T
    expected = torch.zeros_like(labels)
    expected.scatter_(1, scores.masked_fill(excluded, -9).topk(3, dim=1).indices, True)
    assert torch.equal(labels, expected)
    loss, log = method(batch)
    assert set(log) == {"loss_infonce", "loss_multi_label"}
    assert_gradients(method, loss)


def test_saliency_looks_where_the_class_token_looks(images: list[Path]) -> None:
    method = build("saliency", images)
    assert isinstance(method, Saliency)
    assert method.maps.size == (8, 8)  # 64 pixels in patches of 8
    maps = method.compute_maps(epoch=1)
    backbone = method.base.key_encoder.backbone.eval()
    from pretrain.data.whole_images import whole_image_batches

    (indices, pixels), *rest = whole_image_batches(images, 64, 64)
    assert not rest
    with torch.no_grad():
        attention = backbone.attention_map(method.normalised(pixels))
    low, high = attention.flatten(1).amin(1)[:, None, None], attention.flatten(1).amax(1)[:, None, None]
    expected = ((attention - low) / (high - low) * 255).round().to(torch.uint8)
    assert indices == list(range(14))
    assert (maps.int() - expected.int()).abs().max() <= 1
    assert len(maps.unique()) > 10
    loss, log = method(batch_of(0, pairs=2, images=14))
    assert "loss_local" in log
    assert_gradients(method.base, loss)


@pytest.mark.parametrize("source", ["uniform", "random", "shuffled"])
def test_controls_of_saliency(images: list[Path], source: str) -> None:
    method = build("saliency", images, f"saliency.source={source}")
    assert isinstance(method, Saliency)
    assert method.compute_maps(epoch=1).shape == (14, 8, 8)


# --- attention maps -----------------------------------------------------------------------------------------------


def test_attention_maps_are_scaled_over_each_image() -> None:
    attention = torch.rand(3, 4, 5, dtype=torch.float64) * 1e-4
    found = saliency.attention_maps(attention)
    assert found.dtype == torch.float32
    for one, values in zip(found, attention.numpy(), strict=True):
        expected = (values - values.min()) / (values.max() - values.min())
        np.testing.assert_allclose(one.numpy(), expected, atol=1e-5)
    assert float(found.amin()) == 0
    assert float(found.amax()) == 1


@pytest.mark.parametrize("value", [0.0, 1 / 196, float("nan"), float("inf")])
def test_attention_that_says_nothing_is_one_everywhere(value: float) -> None:
    attention = torch.rand(3, 2, 2)
    attention[1] = value if np.isfinite(value) else attention[1]
    if not np.isfinite(value):
        attention[1, 0, 0] = value
    found = saliency.attention_maps(attention)
    assert torch.equal(found[1], torch.ones(2, 2))
    assert float(found[0].amin()) == float(found[2].amin()) == 0


# --- runs ---------------------------------------------------------------------------------------------------------


def run_keys(images: list[Path]) -> list[str]:
    return [f"data.root={images[0].parent}", "run.checkpoint_every_steps=1", "run.log_every=1"]


@pytest.mark.parametrize("method", ["moco", "mls"])
def test_a_stopped_run_goes_on_to_the_same_bits(
    method: str,
    images: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pretrain.train.draw_figures", lambda *_: [])
    recipe = recipe_of(method, *run_keys(images))
    reference = pretrain(recipe, tmp_path / "reference")
    steps = 0
    original = MomentumContrast.after_step

    def crash_at_five(self: MomentumContrast) -> None:
        nonlocal steps
        original(self)
        steps += 1
        if steps == 5:
            raise Stopped(15)

    with monkeypatch.context() as patch:
        patch.setattr(MomentumContrast, "after_step", crash_at_five)
        with pytest.raises(Stopped):
            pretrain(recipe, tmp_path / "resumed")
    resumed = pretrain(recipe, tmp_path / "resumed")
    assert "going on from step 4 of 9" in capsys.readouterr().out
    info, tensors = load_backbone(reference)
    assert info.architecture == VitArchitecture(width=32, depth=2, heads=4, patch=8, image_size=32)
    _, others = load_backbone(resumed)
    assert all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
    last = [sorted((tmp_path / name / "checkpoints").iterdir())[-1] for name in ("reference", "resumed")]
    first, second = (torch.load(path, weights_only=True)["method"] for path in last)
    assert all(torch.equal(first[name], second[name]) for name in first if isinstance(first[name], Tensor))


def test_a_saliency_run_draws_its_figures_and_ends_in_a_backbone(images: list[Path], tmp_path: Path) -> None:
    keys = ["saliency.warmup_share=0.34", "saliency.refresh_share=0.34"]
    path = pretrain(recipe_of("saliency", *run_keys(images), *keys), tmp_path / "run")
    drawn = {file.name for file in (tmp_path / "run/figures").iterdir()}
    assert drawn == {"saliency_maps.png", "saliency_over_training.png", "sampled_boxes.png"}
    assert load_network(path)[0].method == "saliency"


def test_random_initialisation_is_what_the_seed_draws(images: list[Path], tmp_path: Path) -> None:
    keys = [*VIT, "random_init.resolution=32", f"data.root={images[0].parent}", "seed=5"]
    path = pretrain(load_recipe("random_demo", keys), tmp_path / "run")
    info, network = load_network(path)
    torch.manual_seed(5)
    expected = Encoder(load_recipe("moco_demo", SMALL + METHOD_KEYS["moco"]).network).backbone
    assert info.method == "random_init"
    assert isinstance(network, nn.Module)
    assert all(torch.equal(t, expected.state_dict()[name]) for name, t in network.state_dict().items())
