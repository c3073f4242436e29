"""What each method does in one step, against its formulas written out; the ablation keys one by one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import BATCH, batch_of, own_keys
from PIL import Image
from torch import Tensor

from pretrain import losses
from pretrain.data.views import Batch
from pretrain.methods.base import Method
from pretrain.methods.mls import Mls
from pretrain.methods.moco import Keys, Moco, MomentumContrast
from pretrain.methods.random_init import RandomInit
from pretrain.methods.saliency.branch import ContrastedCrops
from pretrain.methods.saliency.method import Saliency
from pretrain.recipes.method_registry import method_class, method_names
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.recipes.recipe_files import recipe_names
from scenebench.errors import UserError

SLOTS, K = 16, 3
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "views.crop_size=32",
    "schedule.epochs=10",
]  # fmt: skip


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = [folder / f"{index}.png" for index in range(10)]
    for index, path in enumerate(paths):
        pixels = rng.integers(0, 256, (40, 40 + 8 * index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


def recipe_of(method: str, *overrides: str) -> Recipe:
    name = {"random_init": "random_demo"}.get(method, f"{method}_demo")
    if method == "random_init":
        return load_recipe(name, ["network.stem_width=8", *overrides])
    sizes = [f"mls.dictionary_size={SLOTS}", f"mls.k={K}"] if method == "mls" else [f"moco.queue_size={SLOTS}"]
    local = ["saliency.crop_size=32", "saliency.map_input_size=64"] if method == "saliency" else []
    return load_recipe(name, [*SMALL, *own_keys(method, [*sizes, *local]), *overrides])


def build(method: str, images: list[Path], *overrides: str) -> Method:
    recipe = recipe_of(method, *overrides)
    torch.manual_seed(3)
    return method_class(method)(recipe, images).train()


def fill(method: MomentumContrast, steps: int = 4) -> None:
    """Put some keys into the dictionaries."""
    for step in range(steps):
        method.training_step(batch_of(seed=100 + step, images=10))
        method.after_step()


def test_every_method_of_the_recipes_exists() -> None:
    assert {load_recipe(name).method for name in recipe_names()} == set(method_names())


# --- MoCo-v2 ------------------------------------------------------------------------------------------------------


def test_moco_is_info_nce_of_first_views_against_keys_of_second_views(images: list[Path]) -> None:
    method = build("moco", images)
    assert isinstance(method, Moco)
    fill(method)
    batch = batch_of()
    queue = method.dictionary.projections.clone()
    loss, log = method(batch)
    query = losses.normalise(method.query_encoder(method.normalised(batch.global_views[:, 0]))[1])
    key = losses.normalise(method.key_encoder(method.normalised(batch.global_views[:, 1]))[1])
    expected = 0.0
    for i in range(BATCH):
        positive = torch.exp(query[i] @ key[i] / 0.2)
        expected += -torch.log(positive / (positive + torch.exp(queue @ query[i] / 0.2).sum())) / BATCH
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    assert float(log["loss_infonce"]) == pytest.approx(float(loss))
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.query_encoder.parameters())
    assert all(parameter.grad is None for parameter in method.key_encoder.parameters())


def test_keys_enter_the_dictionary_after_the_step_and_the_key_encoder_follows(images: list[Path]) -> None:
    method = build("moco", images)
    assert isinstance(method, Moco)
    batch = batch_of()
    before = method.dictionary.projections.clone()
    method(batch)
    assert torch.equal(method.dictionary.projections, before)
    assert method._keys is not None
    keys = losses.normalise(method._keys.projections)
    with torch.no_grad():
        for parameter in method.query_encoder.parameters():
            parameter.add_(1.0)
    old = [parameter.clone() for parameter in method.key_encoder.parameters()]
    method.after_step()
    assert torch.equal(method.dictionary.projections[:BATCH], keys)
    assert torch.equal(method.dictionary.image_ids[:BATCH], batch.indices)
    assert torch.equal(method.dictionary.boxes[:BATCH], batch.global_boxes[:, 1])
    for now, was in zip(method.key_encoder.parameters(), old, strict=True):
        assert torch.allclose(now, was + 0.01, atol=1e-5)  # m = 0.99; the key encoder began as a copy


def test_shuffle_bn_normalises_keys_in_shuffled_groups(images: list[Path]) -> None:
    method = build("moco", images, "network.bn_groups=2")
    assert isinstance(method, Moco)
    views = method.normalised(batch_of().global_views[:, 1])
    torch.manual_seed(5)
    _, found = method.encode_keys(views)
    torch.manual_seed(5)
    order = torch.randperm(BATCH)
    expected = torch.empty_like(found)
    for half in (order[:2], order[2:]):
        expected[half] = method.key_encoder(views[half])[1]
    assert torch.allclose(found, expected, atol=1e-4)
    assert order.tolist() != sorted(order.tolist())


# --- MLS ----------------------------------------------------------------------------------------------------------


def slow_top_k(scores: Tensor, k: int) -> Tensor:
    labels = torch.zeros_like(scores, dtype=torch.bool)
    for row in range(len(scores)):
        for slot in sorted(range(scores.shape[1]), key=lambda slot: -float(scores[row, slot]))[:k]:
            labels[row, slot] = True
    return labels


def step_parts(method: Mls, batch: Batch) -> tuple[Tensor, Tensor, Keys]:
    features, embeddings, keys = method.encode(batch)
    return features, embeddings, keys


def test_mls_is_eq_10(images: list[Path]) -> None:
    method = build("mls", images, "mls.own_view=in")
    assert isinstance(method, Mls)
    fill(method)
    batch = batch_of()
    q_g, q_z = method.dictionary.features.clone(), method.dictionary.projections.clone()
    features, embeddings, keys = step_parts(method, batch)
    g1, z1, z2 = (losses.normalise(part).double() for part in (features, embeddings, keys.projections))
    labels = slow_top_k(g1 @ q_g.double().T, K).double()
    p = torch.sigmoid(z1 @ q_z.double().T / 0.2)
    multi_label = -(labels * p.log() + (1 - labels) * (1 - p).log()).mean()
    positive = ((z1 * z2).sum(dim=1) / 0.2).exp()
    contrastive = -(positive / (positive + (z1 @ q_z.double().T / 0.2).exp().sum(dim=1))).log().mean()
    loss, log = method(batch)
    assert float(log["loss_infonce"]) == pytest.approx(float(contrastive), rel=1e-4)
    assert float(log["loss_multi_label"]) == pytest.approx(float(multi_label), rel=1e-4)
    assert float(loss) == pytest.approx(float(contrastive + 0.5 * multi_label), rel=1e-4)


def test_the_gradient_flows_through_z1_alone(images: list[Path]) -> None:
    method = build("mls", images)
    assert isinstance(method, Mls)
    fill(method)
    features, embeddings, keys = step_parts(method, batch_of())
    features, embeddings = features.detach().requires_grad_(), embeddings.detach().requires_grad_()
    scores, labels, _ = method.scores_and_labels(features, embeddings, keys)
    assert not labels.requires_grad
    losses.multi_label_bce(scores, labels, 0.2).backward()
    assert features.grad is None
    assert embeddings.grad is not None
    assert float(embeddings.grad.abs().sum()) > 0


@pytest.mark.parametrize("order", ["before", "after", "slot_shifted"])
def test_orders_of_query_and_enqueue(images: list[Path], order: str) -> None:
    method = build("mls", images, f"mls.order={order}", "mls.own_view=in")
    assert isinstance(method, Mls)
    fill(method)
    features, embeddings, keys = step_parts(method, batch_of())
    old = method.dictionary
    slots = slice(old.position, old.position + BATCH)
    new_g, new_z = old.features.clone(), old.projections.clone()
    new_g[slots], new_z[slots] = losses.normalise(keys.features), losses.normalise(keys.projections)
    for_scores = new_z if order == "after" else old.projections
    for_labels = old.features if order == "before" else new_g
    scores, labels, excluded = method.scores_and_labels(features, embeddings, keys)
    assert excluded is None
    assert torch.allclose(scores, losses.normalise(embeddings) @ for_scores.T, atol=1e-6)
    assert torch.equal(labels, slow_top_k(losses.normalise(features) @ for_labels.T, K))
    assert old.position == slots.start  # looking ahead has not enqueued


def test_own_view_is_out_or_in(images: list[Path]) -> None:
    for own_view in ("out", "in"):
        method = build("mls", images, "mls.order=after", f"mls.own_view={own_view}")
        assert isinstance(method, Mls)
        fill(method)
        features, embeddings, keys = step_parts(method, batch_of())
        keys = keys._replace(features=features.detach())  # now the own key is surely the nearest
        start = method.dictionary.position
        _, labels, excluded = method.scores_and_labels(features, embeddings, keys)
        own = torch.arange(start, start + BATCH)
        if own_view == "in":
            assert excluded is None
            assert labels[torch.arange(BATCH), own].all()
        else:
            assert excluded is not None
            assert excluded[torch.arange(BATCH), own].all()
            assert not (labels & excluded).any()


def test_older_crops_of_the_same_image_are_no_pseudo_labels(images: list[Path]) -> None:
    method = build("mls", images)
    assert isinstance(method, Mls)
    fill(method)
    batch = batch_of()
    features, embeddings, keys = step_parts(method, batch)
    _, labels, excluded = method.scores_and_labels(features, embeddings, keys)
    assert excluded is not None
    assert torch.equal(excluded, batch.indices[:, None] == method.dictionary.image_ids[None])
    assert bool(excluded.any())
    assert not (labels & excluded).any()


@pytest.mark.parametrize("which", ["paired", "g_only", "z_only"])
def test_dictionaries_of_table_7(images: list[Path], which: str) -> None:
    method = build("mls", images, f"mls.dictionaries={which}", "mls.own_view=in")
    assert isinstance(method, Mls)
    fill(method)
    features, embeddings, keys = step_parts(method, batch_of())
    by_g = losses.normalise(features) @ method.dictionary.features.T
    by_z = losses.normalise(embeddings) @ method.dictionary.projections.T
    scores, labels, _ = method.scores_and_labels(features, embeddings, keys)
    assert torch.allclose(scores, by_g if which == "g_only" else by_z, atol=1e-6)
    assert torch.equal(labels, slow_top_k(by_z if which == "z_only" else by_g, K))


@pytest.mark.parametrize(
    ("loss", "function"),
    [
        ("bce", losses.multi_label_bce),
        ("bce_positives", losses.multi_label_bce_positives),
        ("knn_softmax", losses.knn_softmax),
    ],
)
def test_losses_of_table_6(images: list[Path], loss: str, function: Callable[..., Tensor]) -> None:
    method = build("mls", images, f"mls.loss={loss}", "mls.loss_weight=0.7")
    assert isinstance(method, Mls)
    fill(method)
    batch = batch_of()
    total, log = method(batch)
    parts = method.scores_and_labels(*step_parts(method, batch))
    assert float(log["loss_multi_label"]) == pytest.approx(float(function(*parts[:2], 0.2, parts[2])), rel=1e-5)
    assert float(total) == pytest.approx(float(log["loss_infonce"] + 0.7 * log["loss_multi_label"]), rel=1e-5)


def test_mls_with_infonce_alone_is_moco(images: list[Path]) -> None:
    """The matched baseline: the same weights, the same queue, the same loss."""
    moco = build("moco", images)
    mls = build("mls", images, "mls.loss=infonce")
    assert isinstance(moco, Moco)
    assert isinstance(mls, Mls)
    mls.dictionary.projections.copy_(moco.dictionary.projections)
    for step in range(3):
        batch = batch_of(seed=step)
        assert float(mls(batch)[0]) == float(moco(batch)[0])
        moco.after_step()
        mls.after_step()


def test_warmup_epochs_are_infonce_alone(images: list[Path]) -> None:
    method = build("mls", images, "mls.warmup_epochs=2")
    for epoch, parts in ((0, {"loss_infonce"}), (1, {"loss_infonce"}), (2, {"loss_infonce", "loss_multi_label"})):
        method.on_epoch_start(epoch)
        assert set(method(batch_of())[1]) == parts


# --- saliency -----------------------------------------------------------------------------------------------------


def saliency_method(images: list[Path], *overrides: str) -> Saliency:
    method = build("saliency", images, *overrides)
    assert isinstance(method, Saliency)
    return method


def test_saliency_loss_is_global_plus_weighted_local(images: list[Path]) -> None:
    method = saliency_method(images, "saliency.loss_weight=0.3")
    method.maps.refresh(torch.randint(0, 256, method.maps.values.shape, dtype=torch.uint8), 0)
    batch = batch_of(pairs=2)
    loss, log = method(batch)
    weights, scores = method.weights(batch)
    local = method.local_losses(batch)
    assert torch.allclose(weights.mean(dim=1), torch.ones(BATCH))
    assert not torch.allclose(weights, torch.ones_like(weights), atol=1e-2)
    expected = sum(float(weights[n, k] * local[n, k]) / 2 for n in range(BATCH) for k in range(2)) / BATCH
    assert float(log["loss_local"]) == pytest.approx(expected, rel=1e-4)
    assert float(loss) == pytest.approx(float(log["loss_infonce"]) + 0.3 * expected, rel=1e-4)
    assert bool(((scores >= 0) & (scores <= 1)).all())


def test_local_losses_are_info_nce_of_anchor_and_partner(images: list[Path]) -> None:
    method = saliency_method(images)
    batch = batch_of(pairs=2)
    assert batch.local_views is not None
    found = method.local_losses(batch)
    views = batch.local_views.flatten(0, 1)
    crops = method.crops
    assert isinstance(crops, ContrastedCrops)
    query_backbone, key_backbone = method.base.leader.backbone, method.base.follower.backbone
    query = losses.normalise(crops.projector(query_backbone(method.normalised(views[:, 0]))))
    key = losses.normalise(crops.follower_projector(key_backbone(method.normalised(views[:, 1]))))
    expected = losses.info_nce(query, key, crops.dictionary.projections, 0.2).reshape(BATCH, 2)
    assert torch.allclose(found, expected, atol=1e-4)
    method.after_step()
    assert crops.dictionary.image_ids[: 2 * BATCH].tolist() == batch.indices.repeat_interleave(2).tolist()
    assert torch.allclose(crops.dictionary.projections[: 2 * BATCH], key, atol=1e-5)


def test_global_part_and_running_statistics_are_mocos(images: list[Path]) -> None:
    """The crop branch leaves the base as it is: same loss, same BN statistics of the backbone."""
    method, moco = saliency_method(images), build("moco", images)
    batch = batch_of(pairs=2)
    _, log = method(batch)
    loss, _ = moco(batch)
    assert float(log["loss_infonce"]) == float(loss)
    assert isinstance(moco, Moco)
    for ours, theirs in zip(method.backbone.buffers(), moco.backbone.buffers(), strict=True):
        assert torch.equal(ours, theirs)


def test_beta_zero_and_a_uniform_map_are_the_unweighted_loss(images: list[Path]) -> None:
    batch = batch_of(pairs=2)
    unweighted = saliency_method(images, "saliency.beta=0")
    unweighted.maps.refresh(torch.randint(0, 256, unweighted.maps.values.shape, dtype=torch.uint8), 0)
    in_warm_up = saliency_method(images)
    assert torch.equal(unweighted.weights(batch)[0], torch.ones(BATCH, 2))
    assert torch.allclose(in_warm_up.weights(batch)[0], torch.ones(BATCH, 2), atol=1e-6)
    expected = unweighted.local_losses(batch).mean()
    assert float(unweighted(batch)[1]["loss_local"]) == pytest.approx(float(expected), rel=1e-6)


def test_boxes_follow_the_maps_only_where_the_recipe_says(images: list[Path]) -> None:
    one_corner = torch.zeros(10, 2, 2, dtype=torch.uint8)
    one_corner[:, 1, 1] = 255
    centres = {}
    for crops in ("saliency", "random"):
        method = saliency_method(images, f"saliency.crops={crops}")
        sampler = method.local_box_sampler()
        method.maps.refresh(one_corner, 2)  # after the sampler was made: it must see the new maps
        boxes = np.concatenate([sampler(5, np.random.default_rng(seed))[:, 0] for seed in range(40)])
        centres[crops] = ((boxes[:, 0] + boxes[:, 2]) / 2).mean()
    assert centres["saliency"] > 0.65
    assert centres["random"] == pytest.approx(0.5, abs=0.08)


def test_maps_are_refreshed_by_the_momentum_encoder_in_eval_mode(images: list[Path]) -> None:
    from pretrain import saliency
    from pretrain.data.whole_images import whole_image_batches

    method = saliency_method(images)  # 10 epochs: warm-up 2, refreshes at 2 and 6 (refresh_share 0.4)
    method(batch_of(pairs=2))
    method.after_step()
    state = {name: value.clone() for name, value in method.base.follower.state_dict().items()}
    for epoch in (0, 1):
        method.on_epoch_start(epoch)
        assert bool((method.maps.values == 255).all())
    method.on_epoch_start(2)
    [(_, pixels)] = whole_image_batches(images, 64, 10)
    encoder = method.base.follower.backbone.eval()
    with torch.no_grad():
        expected = saliency.activation_maps(encoder.feature_map(method.normalised(pixels)))
    encoder.train()
    assert (method.maps.values.int() - saliency.to_uint8(expected).int()).abs().max() <= 1
    for name, value in method.base.follower.state_dict().items():
        assert torch.equal(value, state[name])
    assert method.base.follower.training


def test_a_resumed_epoch_does_not_refresh_again(images: list[Path]) -> None:
    method = saliency_method(images)
    method.on_epoch_start(2)
    maps = method.maps.values.clone()
    other = saliency_method(images)
    other.load_state_dict(method.state_dict())
    with torch.no_grad():
        for parameter in other.base.follower.parameters():
            parameter.add_(torch.randn_like(parameter))
    other.on_epoch_start(2)
    assert torch.equal(other.maps.values, maps)
    other.on_epoch_start(6)
    assert not torch.equal(other.maps.values, maps)


@pytest.mark.parametrize("source", ["uniform", "random", "shuffled"])
def test_control_sources(images: list[Path], source: str) -> None:
    activation = saliency_method(images).compute_maps(2)
    method = saliency_method(images, f"saliency.source={source}")
    maps = method.compute_maps(2)
    assert maps.shape == activation.shape
    assert torch.equal(maps, method.compute_maps(2))  # deterministic
    if source == "uniform":
        assert bool((maps == 255).all())
    elif source == "random":
        assert not torch.equal(maps, method.compute_maps(3))
        assert abs(float(maps.float().mean()) - 127.5) < 40
    else:
        assert not torch.equal(maps, activation)
        assert sorted(map(tuple, maps.flatten(1).tolist())) == sorted(map(tuple, activation.flatten(1).tolist()))


def test_a_queue_that_does_not_take_whole_steps_of_local_keys_is_refused(images: list[Path]) -> None:
    with pytest.raises(UserError, match=r"moco.queue_size: 4 is not a multiple of a step's 8 local keys"):
        saliency_method(images, "moco.queue_size=4")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("saliency.base=simsiam", "saliency.base: unknown value 'simsiam'.*moco"),
        ("saliency.source=edges", "saliency.source: unknown value 'edges'"),
        ("saliency.pairs=1", "saliency.pairs"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        recipe_of("saliency", override)


# --- random initialisation ----------------------------------------------------------------------------------------


def test_random_init_estimates_statistics_on_whole_images(images: list[Path]) -> None:
    method = build(
        "random_init", images, "random_init.resolution=32", "random_init.images=6", "random_init.batch_size=4"
    )
    assert isinstance(method, RandomInit)
    before = {name: value.clone() for name, value in method.backbone.named_parameters()}
    method.finish()
    for name, value in method.backbone.named_parameters():
        assert torch.equal(value, before[name])
    assert int(method.backbone.bn1.num_batches_tracked) == 2
    assert not torch.equal(method.backbone.bn1.running_mean, torch.zeros(8))


def test_methods_of_one_seed_begin_with_one_backbone(images: list[Path], tmp_path: Path) -> None:
    annotations = tmp_path / "instances.json"
    listed = [{"id": index, "file_name": path.name, "width": 40, "height": 40} for index, path in enumerate(images)]
    content = {"images": listed, "annotations": [], "categories": [{"id": 1, "name": "one"}]}
    annotations.write_text(json.dumps(content))
    weights = [build(name, images, f"data.annotations={annotations}").backbone.state_dict() for name in method_names()]
    for other in weights[1:]:
        assert torch.equal(other["layer4.1.conv2.weight"], weights[0]["layer4.1.conv2.weight"])


def test_queue_init_keys_fills_the_dictionaries_with_images_once(images: list[Path]) -> None:
    method = build("mls", images, f"mls.dictionary_size={SLOTS}", "mls.queue_init=keys", "data.images_per_epoch=8")
    assert isinstance(method, Mls)
    before = {name: value.clone() for name, value in method.named_buffers() if "dictionary" not in name}
    method.on_epoch_start(0)
    for name, value in before.items():
        assert torch.equal(dict(method.named_buffers())[name], value), name  # running statistics
    assert bool((method.dictionary.image_ids >= 0).all())
    first = method.dictionary.projections.clone()
    assert torch.allclose(first.norm(dim=1), torch.ones(SLOTS))
    method.on_epoch_start(0)  # a run that resumes within the first epoch
    assert torch.equal(method.dictionary.projections, first)
    random = build("mls", images, f"mls.dictionary_size={SLOTS}")
    assert isinstance(random, Mls)
    random.on_epoch_start(0)
    assert random.dictionary.is_unused()
