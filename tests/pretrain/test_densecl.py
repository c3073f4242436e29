"""DenseCL: its loss against a slow float64 oracle, and what the method does in a step."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from method_batches import BATCH, batch_of, own_keys
from torch import Tensor, nn

from pretrain.data.views import Batch
from pretrain.dense_losses import dense_info_nce, match_cells, unit_cells
from pretrain.losses import normalise
from pretrain.methods.densecl import DenseCl, DenseEncoder
from pretrain.methods.moco import Moco
from pretrain.recipes.method_registry import method_class
from pretrain.recipes.recipe import Recipe, load_recipe

B, SIDE, CHANNELS, DIM, SLOTS, TAU = 3, 2, 6, 5, 12, 0.2
CELLS = SIDE * SIDE
IMAGES = [Path(f"{index}.jpg") for index in range(10)]


def randn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(float(x) * float(y) for x, y in zip(a, b, strict=True))
    return dot / math.sqrt(sum(float(x) ** 2 for x in a)) / math.sqrt(sum(float(y) ** 2 for y in b))


# --- the mathematics ----------------------------------------------------------------------------------------------


def slow_matches(query_map: Tensor, key_map: Tensor) -> list[list[int]]:
    matches = []
    for query, key in zip(query_map, key_map, strict=True):
        cells = [(row, column) for row in range(SIDE) for column in range(SIDE)]
        matches.append(
            [
                max(range(CELLS), key=lambda j: cosine(query[:, i[0], i[1]], key[:, cells[j][0], cells[j][1]]))
                for i in cells
            ]
        )
    return matches


def test_matches_are_the_nearest_cells_by_cosine() -> None:
    query_map, key_map = randn(B, CHANNELS, SIDE, SIDE, seed=1), randn(B, CHANNELS, SIDE, SIDE, seed=2)
    key_map[:, :, 0, 0] *= 100  # a long vector is no nearer
    query_map.requires_grad_()
    found = match_cells(query_map, key_map)
    assert found.tolist() == slow_matches(query_map.detach(), key_map)
    assert not found.requires_grad
    assert len({cell for row in found.tolist() for cell in row}) > 1


def test_dense_info_nce_is_eq_2() -> None:
    queries, keys = randn(B, CELLS, DIM, seed=1), randn(B, CELLS, DIM, seed=2)
    queue = randn(SLOTS, DIM, seed=3)
    matches = torch.tensor([[0, 1, 2, 3], [3, 3, 3, 0], [1, 0, 3, 2]])
    found = dense_info_nce(unit_cells(queries), unit_cells(keys), matches, normalise(queue), TAU)
    for image in range(B):
        expected = 0.0
        for cell in range(CELLS):
            query = queries[image, cell]
            positive = math.exp(cosine(query, keys[image, int(matches[image, cell])]) / TAU)
            negatives = sum(math.exp(cosine(query, slot) / TAU) for slot in queue)
            expected -= math.log(positive / (positive + negatives)) / CELLS
        assert float(found[image]) == pytest.approx(expected, abs=1e-12)


def test_half_precision_is_raised_before_the_logarithms() -> None:
    queries, keys = randn(B, CELLS, DIM, seed=1).bfloat16(), randn(B, CELLS, DIM, seed=2).bfloat16()
    queue = normalise(randn(SLOTS, DIM, seed=3).float())
    matches = torch.zeros(B, CELLS, dtype=torch.int64)
    with torch.autocast("cpu", torch.bfloat16):
        found = dense_info_nce(unit_cells(queries), unit_cells(keys), matches, queue, TAU)
    expected = dense_info_nce(unit_cells(queries.float()), unit_cells(keys.float()), matches, queue, TAU)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


# --- the method ---------------------------------------------------------------------------------------------------


def crops(seed: int = 0) -> Batch:
    return batch_of(seed, images=len(IMAGES), crop_size=64)


def recipe_of(*overrides: str, name: str = "densecl_demo") -> Recipe:
    small = ["network.stem_width=8", "network.projector.output_dim=8", "schedule.batch_size=4", "views.crop_size=64"]
    queues = own_keys(name.removesuffix("_demo"), ["densecl.queue_size=16", "moco.queue_size=16"])
    return load_recipe(name, [*small, *queues, *overrides])


def build(*overrides: str) -> DenseCl:
    torch.manual_seed(3)
    method = method_class("densecl")(recipe_of(*overrides), IMAGES).train()
    assert isinstance(method, DenseCl)
    return method


def fill(method: DenseCl) -> None:
    for seed in range(100, 104):
        method(crops(seed))
        method.after_step()


def test_the_dense_head_is_two_1x1_convolutions() -> None:
    torch.manual_seed(0)
    encoder = DenseEncoder(recipe_of("network.projector.batch_norm=none").network).double()
    maps, embeddings = encoder(randn(2, 3, 64, 64, seed=1))
    first, last = encoder.dense_projector[0], encoder.dense_projector[2]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    hidden = nn.functional.conv2d(maps, first.weight[:, :, None, None], first.bias).relu()
    expected = nn.functional.conv2d(hidden, last.weight[:, :, None, None], last.bias)
    assert torch.allclose(embeddings[:, 1:], expected.flatten(2).transpose(1, 2), atol=1e-12)
    assert torch.allclose(embeddings[:, 0], encoder.projector(maps.mean(dim=(2, 3))), atol=1e-12)
    assert not torch.equal(first.weight, encoder.projector[0].weight)


def test_a_step_is_eq_4(monkeypatch: pytest.MonkeyPatch) -> None:
    method = build("densecl.loss_weight=0.3").double()
    normalised = method.normalised
    monkeypatch.setattr(method, "normalised", lambda pixels: normalised(pixels).double(), raising=True)
    fill(method)
    batch = crops()
    queue, dense_queue = method.dictionary.projections.clone(), method.dense_dictionary.projections.clone()
    loss, log = method(batch)
    with torch.no_grad():
        maps, query = method.query_encoder(method.normalised(batch.global_views[:, 0]))
    key_maps, key = method.key_encoder(method.normalised(batch.global_views[:, 1]))
    matches = slow_matches(maps, key_maps)
    contrastive = dense = 0.0
    for image in range(BATCH):
        positive = math.exp(cosine(query[image, 0], key[image, 0]) / TAU)
        negatives = sum(math.exp(cosine(query[image, 0], slot) / TAU) for slot in queue)
        contrastive -= math.log(positive / (positive + negatives)) / BATCH
        for cell in range(CELLS):
            vector = query[image, 1 + cell]
            positive = math.exp(cosine(vector, key[image, 1 + matches[image][cell]]) / TAU)
            negatives = sum(math.exp(cosine(vector, slot) / TAU) for slot in dense_queue)
            dense -= math.log(positive / (positive + negatives)) / (BATCH * CELLS)
    assert float(log["loss_infonce"]) == pytest.approx(contrastive, abs=1e-9)
    assert float(log["loss_dense"]) == pytest.approx(dense, abs=1e-9)
    assert float(loss) == pytest.approx(0.7 * contrastive + 0.3 * dense, abs=1e-9)
    loss.backward()
    assert all(parameter.grad is not None for parameter in method.query_encoder.parameters())
    assert all(parameter.grad is None for parameter in method.key_encoder.parameters())


def test_each_queue_takes_its_keys_after_the_step() -> None:
    method = build()
    batch = crops()
    before = method.dense_dictionary.projections.clone()
    method(batch)
    assert torch.equal(method.dense_dictionary.projections, before)
    with torch.no_grad():
        _, keys = method.key_encoder(method.normalised(batch.global_views[:, 1]))
    old = [parameter.clone() for parameter in method.key_encoder.parameters()]
    with torch.no_grad():
        for parameter in method.query_encoder.parameters():
            parameter.add_(1.0)
    method.after_step()
    assert torch.allclose(method.dictionary.projections[:BATCH], normalise(keys[:, 0]), atol=1e-5)
    pooled_then_normalised = normalise(keys[:, 1:].mean(dim=1))
    assert torch.allclose(method.dense_dictionary.projections[:BATCH], pooled_then_normalised, atol=1e-5)
    for dictionary in (method.dictionary, method.dense_dictionary):
        assert torch.equal(dictionary.image_ids[:BATCH], batch.indices)
        assert torch.equal(dictionary.boxes[:BATCH], batch.global_boxes[:, 1])
        assert dictionary.position == BATCH
    for now, was in zip(method.key_encoder.parameters(), old, strict=True):
        assert torch.allclose(now, was + 0.01, atol=1e-5)  # m = 0.99, the dense head included


def test_shuffle_bn_brings_maps_and_cells_back_to_their_images() -> None:
    method = build("network.bn_groups=2")
    views = method.normalised(crops().global_views[:, 1])
    torch.manual_seed(5)
    maps, keys = method.encode_keys(views)
    torch.manual_seed(5)
    order = torch.randperm(BATCH)
    assert order.tolist() != sorted(order.tolist())
    for half in (order[:2], order[2:]):
        expected_maps, expected_keys = method.key_encoder(views[half])
        assert torch.allclose(maps[half], expected_maps, atol=1e-4)
        assert torch.allclose(keys[half], expected_keys, atol=1e-4)
    loss, _ = method(crops())
    assert bool(torch.isfinite(loss))


def test_in_the_warm_up_it_is_moco() -> None:
    method = build("densecl.warmup_epochs=2")
    torch.manual_seed(3)
    moco = method_class("moco")(recipe_of(name="moco_demo"), IMAGES).train()
    assert isinstance(moco, Moco)
    moco.query_encoder.load_state_dict(
        {name: value for name, value in method.query_encoder.state_dict().items() if "dense" not in name}
    )
    moco.key_encoder.load_state_dict(moco.query_encoder.state_dict())
    moco.dictionary.projections.copy_(method.dictionary.projections)
    for epoch in (0, 1):
        method.on_epoch_start(epoch)
        loss, log = method(crops())
        assert float(loss) == pytest.approx(float(moco(crops())[0]), rel=1e-6)
        assert float(loss) != pytest.approx(float(log["loss_dense"]), rel=1e-3)
    method.on_epoch_start(2)
    loss, log = method(crops())
    assert float(loss) == pytest.approx(0.5 * float(log["loss_infonce"] + log["loss_dense"]), rel=1e-6)


def test_its_state_resumes() -> None:
    method, other = build(), build()
    fill(method)
    other.load_state_dict(method.state_dict())
    assert other.dense_dictionary.position == method.dense_dictionary.position
    assert float(method(crops())[0]) == float(other(crops())[0])


def test_the_published_recipe() -> None:
    recipe = load_recipe("densecl_coco")
    dense, optimiser, schedule = recipe.densecl, recipe.optimiser, recipe.schedule
    assert (dense.queue_size, dense.temperature, dense.momentum, dense.loss_weight) == (65536, 0.2, 0.999, 0.5)
    assert (optimiser.name, optimiser.lr, optimiser.weight_decay, optimiser.momentum) == ("sgd", 0.3, 1e-4, 0.9)
    assert (schedule.epochs, schedule.batch_size, schedule.warmup_epochs, schedule.cosine) == (800, 256, 0, True)
    assert (recipe.network.projector.output_dim, recipe.network.projector.batch_norm) == (128, "none")
