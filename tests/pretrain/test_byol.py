"""BYOL: its loss and its momentum against the formulas, who learns and who follows, and what a checkpoint holds."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from method_batches import BATCH, batch_of
from torch import Tensor

from pretrain.data.loading import PretrainDataset
from pretrain.losses import byol_loss
from pretrain.methods.byol import Byol
from pretrain.methods.two_encoders import total_steps
from pretrain.networks import Predictor, cosine_momentum
from pretrain.recipes.recipe import load_recipe
from scenebench.errors import UserError

IMAGES = [Path(f"{index}.png") for index in range(10)]  # never opened
SMALL = [
    "network.stem_width=8", "network.projector.hidden_dim=16", "network.projector.output_dim=8",
    "byol.predictor_hidden_dim=12", "schedule.batch_size=4", "schedule.epochs=5", "views.crop_size=32",
]  # fmt: skip


def build(*overrides: str) -> Byol:
    torch.manual_seed(3)
    method = Byol(load_recipe("byol_demo", [*SMALL, *overrides]), IMAGES)
    method.train()
    return method


def slow_loss(prediction: Tensor, target: Tensor) -> list[float]:
    """The squared distance of the unit vectors, component by component."""
    found = []
    for p, t in zip(prediction.tolist(), target.tolist(), strict=True):
        p_length, t_length = math.sqrt(sum(x * x for x in p)), math.sqrt(sum(x * x for x in t))
        found.append(sum((x / p_length - y / t_length) ** 2 for x, y in zip(p, t, strict=True)))
    return found


def test_the_loss_is_the_squared_distance_of_unit_vectors() -> None:
    generator = torch.Generator().manual_seed(0)
    prediction, target = (3 * torch.randn(6, 5, dtype=torch.float64, generator=generator) for _ in range(2))
    found = byol_loss(prediction, target)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(slow_loss(prediction, target), abs=1e-12)
    assert torch.allclose(byol_loss(prediction, 7 * prediction), torch.zeros(6, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(byol_loss(prediction, -prediction), torch.full((6,), 4.0, dtype=torch.float64))


def test_the_loss_stays_in_float32_inside_autocast() -> None:
    prediction, target = torch.randn(6, 5), torch.randn(6, 5)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = byol_loss(prediction.bfloat16(), target.bfloat16())
    assert found.dtype == torch.float32
    assert torch.equal(found, byol_loss(prediction.bfloat16().float(), target.bfloat16().float()))


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 1), st.integers(1, 1000), st.data())
def test_momentum_rises_by_a_cosine_from_its_start_to_one(initial: float, total: int, data: st.DataObject) -> None:
    assert cosine_momentum(initial, 0, total) == pytest.approx(initial)
    assert cosine_momentum(initial, total, total) == 1
    assert cosine_momentum(initial, total + 5, total) == 1
    step = data.draw(st.integers(0, total - 1))
    now, later = (cosine_momentum(initial, k, total) for k in (step, step + 1))
    assert initial - 1e-12 <= now <= later + 1e-12
    assert now == pytest.approx(1 - (1 - initial) * (math.cos(math.pi * step / total) + 1) / 2)


def test_momentum_half_way_is_half_way() -> None:
    assert cosine_momentum(0.99, 50, 100) == pytest.approx(0.995)
    assert cosine_momentum(0.9, 25, 100) == pytest.approx(1 - 0.1 * (math.sqrt(0.5) + 1) / 2)


def test_the_predictor_is_the_papers() -> None:
    predictor = Predictor(8, 12)
    assert [type(layer).__name__ for layer in predictor] == ["Linear", "BatchNorm1d", "ReLU", "Linear"]
    assert predictor(torch.randn(5, 8)).shape == (5, 8)
    published = load_recipe("byol_coco")
    assert (published.byol.predictor_hidden_dim, published.byol.momentum) == (4096, 0.99)
    assert (published.network.projector.hidden_dim, published.network.projector.output_dim) == (4096, 256)


def test_the_step_sums_both_directions() -> None:
    method = build()
    with torch.no_grad():  # a target that is no longer a copy
        for parameter in method.target_encoder.parameters():
            parameter.mul_(1.1)
    batch = batch_of()
    loss, log = method(batch)
    views = [method.normalised(batch.global_views[:, view]) for view in range(2)]
    predictions = [method.predictor(method.online_encoder(view)[1]) for view in views]
    targets = [method.target_encoder(view)[1] for view in views]
    expected = slow_loss(predictions[0], targets[1]), slow_loss(predictions[1], targets[0])
    assert loss.item() == pytest.approx((sum(expected[0]) + sum(expected[1])) / BATCH, rel=1e-4)
    assert torch.equal(log["loss_byol"], loss.detach())
    spread = torch.nn.functional.normalize(targets[0].detach(), dim=1).var(dim=0, correction=0)
    assert float(log["embedding_std"]) == pytest.approx(math.sqrt(float(spread.mean())), rel=1e-4)


def test_only_the_online_side_learns() -> None:
    method = build()
    loss, _ = method(batch_of())
    loss.backward()
    learning = {name for name, parameter in method.named_parameters() if parameter.grad is not None}
    assert learning == {
        name for name, _ in method.named_parameters() if name.startswith(("online_encoder.", "predictor."))
    }
    assert not method.targets(method.normalised(batch_of().global_views[:, 0])).requires_grad
    assert method.branch == "online"
    assert method.backbone is method.online_encoder.backbone


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_target_follows_by_the_momentum_of_the_step(schedule: str) -> None:
    method = build("byol.momentum=0.8", f"byol.momentum_schedule={schedule}")
    assert method.total_steps == 10  # 5 epochs of 2 whole batches
    expected = [parameter.clone() for parameter in method.target_encoder.parameters()]
    for step in range(method.total_steps):
        with torch.no_grad():
            for parameter in method.online_encoder.parameters():
                parameter.add_(torch.randn_like(parameter))
        method.after_step()
        share = 1 - 0.2 * (math.cos(math.pi * step / 10) + 1) / 2
        momentum = share if schedule == "cosine" else 0.8
        leaders = list(method.online_encoder.parameters())
        expected = [momentum * old + (1 - momentum) * now for old, now in zip(expected, leaders, strict=True)]
        for found, wanted in zip(method.target_encoder.parameters(), expected, strict=True):
            assert torch.allclose(found, wanted, atol=1e-5)
    assert method.step_momentum == (1.0 if schedule == "cosine" else 0.8)


def test_the_target_normalises_by_batch_statistics_and_keeps_its_own_running_ones() -> None:
    method = build()
    batch = batch_of()
    method(batch)
    seen = method.target_encoder.backbone.bn1
    assert int(seen.num_batches_tracked) == 2
    buffers = {name: value.clone() for name, value in method.target_encoder.named_buffers()}
    with torch.no_grad():
        method.online_encoder.backbone.bn1.running_mean.fill_(5)
    method.after_step()
    for name, value in method.target_encoder.named_buffers():
        assert torch.equal(value, buffers[name]), name
    images = method.normalised(batch.global_views[:, 0])
    with torch.no_grad():
        in_training_mode, targets = method.target_encoder(images)[1], method.targets(images)
        method.target_encoder.eval()
        assert not torch.allclose(method.targets(images), targets, atol=1e-3)
    assert torch.equal(targets, in_training_mode)


@pytest.mark.parametrize("per_epoch", ["null", "23"])
def test_the_run_has_as_many_steps_as_the_loader_gives(per_epoch: str) -> None:
    recipe = load_recipe("byol_demo", [*SMALL, f"data.images_per_epoch={per_epoch}", "data.cache=none"])
    assert total_steps(recipe, len(IMAGES)) == 5 * PretrainDataset(recipe, IMAGES).steps_per_epoch


def test_a_checkpoint_carries_the_step() -> None:
    method = build()
    for _ in range(3):
        method.after_step()
    other = build()
    other.load_state_dict(method.state_dict())
    assert other.step == 3
    assert other.step_momentum == method.step_momentum != build().step_momentum


def test_shuffle_bn_is_refused() -> None:
    with pytest.raises(UserError, match=r"^network.bn_groups: 2 .*set network.bn_groups=1$"):
        build("network.bn_groups=2")


def test_the_loss_is_lightlys() -> None:
    """There it is the negative cosine."""
    from lightly.loss import NegativeCosineSimilarity

    prediction, target = torch.randn(6, 5), torch.randn(6, 5)
    theirs = NegativeCosineSimilarity()(prediction, target)
    assert float(byol_loss(prediction, target).mean()) == pytest.approx(2 + 2 * float(theirs), abs=1e-5)
