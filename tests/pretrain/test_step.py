"""One optimiser step: nothing in it waits for the device, and a loss that is not finite is remembered."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from method_batches import BATCH, batch_of

from pretrain import losses
from pretrain.computer import on_device
from pretrain.data import augment
from pretrain.data.views import Batch
from pretrain.methods.base import Method, build_method
from pretrain.optimiser import build_optimiser
from pretrain.recipes.recipe import load_recipe
from pretrain.step import FirstNotFinite, TrainingStep

IMAGES = [Path(f"{index}.jpg") for index in range(10)]
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", f"schedule.batch_size={BATCH}", "views.crop_size=32",
    "views.solarise_p=0.5", "run.log_every=1",
]  # fmt: skip
METHODS = {
    "moco": ["moco.queue_size=16"],
    "mls": ["mls.dictionary_size=16", "mls.k=3"],
    "densecl": ["densecl.queue_size=16"],
    "byol": ["byol.predictor_hidden_dim=16"],
    "saliency": ["moco.queue_size=16"],
    "saliency_byol": ["byol.predictor_hidden_dim=16"],
}


def method_and_batch(name: str, extra: list[str] | None = None) -> tuple[Method, Batch]:
    recipe = load_recipe(f"{name}_demo", [*SMALL, *METHODS[name], *(extra or [])])
    method = build_method(recipe, IMAGES)
    pairs = recipe.about.local_crops(recipe).pairs
    batch = batch_of(pairs=pairs)
    for photometric, views in ((batch.global_photometric, recipe.views), (batch.local_photometric, recipe.views)):
        if photometric is not None:
            for row in photometric.flatten(0, -2):
                row.copy_(torch.from_numpy(augment.draw_parameters(np.random.default_rng(0), views, 1)))
    return method, batch


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("name", METHODS)
def test_a_step_never_waits_for_the_device(name, groups, monkeypatch):
    # torch's "meta" device has shapes and no values: whatever asks it for a value, which on a GPU means to wait,
    # raises.
    if groups > 1 and name not in ("moco", "mls", "densecl"):
        pytest.skip("shuffle-BN is for methods that encode once")
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # there is none for "meta"
    method, batch = method_and_batch(name, [f"network.bn_groups={groups}"])
    method = method.to("meta")
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    step = TrainingStep(method.recipe, method, torch.optim.SGD(trained, lr=0.1))  # ours is fused: not for "meta"
    bad = FirstNotFinite(torch.device("meta"))
    for number in range(2):
        loss, log = step(batch, lr=0.1)
        bad.note(loss, number)
        assert loss.device.type == "meta"
        assert all(value.device.type == "meta" for key, value in log.items() if key.startswith("loss"))


def test_the_test_above_would_notice():
    value = torch.ones((), device="meta")
    with pytest.raises((RuntimeError, NotImplementedError)):
        value.item()
    with pytest.raises((RuntimeError, NotImplementedError)):
        value.cpu()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", METHODS)
def test_a_step_on_a_gpu_never_waits(name):
    method, batch = method_and_batch(name)
    method = method.to("cuda")
    step = TrainingStep(method.recipe, method, build_optimiser(method.recipe.optimiser, method.parameters()))
    step(batch, lr=0.1)  # the first one sets up the libraries
    torch.cuda.set_sync_debug_mode("error")
    try:
        step(batch, lr=0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_what_the_host_decides_by_stays_on_it():
    batch = batch_of(pairs=2)
    moved = on_device(batch, torch.device("meta"))
    assert moved.global_photometric.device.type == moved.local_photometric.device.type == "cpu"
    assert torch.equal(moved.on_host, batch.indices)
    assert moved.indices.device.type == moved.global_views.device.type == moved.local_boxes.device.type == "meta"


def test_on_the_cpu_nothing_is_copied():
    batch = batch_of(pairs=2)
    moved = on_device(batch, torch.device("cpu"))
    assert moved.global_views.data_ptr() == batch.global_views.data_ptr()
    assert moved.on_host.data_ptr() == batch.indices.data_ptr()


def test_both_views_in_one_pass_are_what_each_is_alone():
    method, batch = method_and_batch("moco")
    first, second = method.both_inputs(batch.global_views, batch.global_photometric)
    for view, together in enumerate((first, second)):
        alone = method.network_input(batch.global_views[:, view], batch.global_photometric[:, view])
        assert torch.equal(alone, together)


def test_the_first_loss_that_is_not_finite_is_remembered():
    found = FirstNotFinite(torch.device("cpu"))
    assert found.step() is None
    for step, loss in enumerate([1.0, float("inf"), 2.0, float("nan")]):
        found.note(torch.tensor(loss), step)
    assert found.step() == 1


def test_step_zero_counts():
    found = FirstNotFinite(torch.device("cpu"))
    found.note(torch.tensor(float("nan")), 0)
    assert found.step() == 0


def kept_for_backward(loss_of: Callable[[], torch.Tensor], but: tuple[torch.Tensor, ...]) -> int:
    """Bytes of distinct memory that autograd keeps, without that of the inputs."""
    kept: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss_of()
    for tensor in but:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(kept.values())


def test_losses_keep_no_more_of_size_batch_by_dictionary_than_they_need():
    batch, slots, dim = 16, 4096, 8
    one = 4 * batch * slots  # the size of one float32 matrix of scores
    query = losses.normalise(torch.randn(batch, dim)).requires_grad_()
    key, queue = losses.normalise(torch.randn(batch, dim)), losses.normalise(torch.randn(slots, dim))
    # InfoNCE: the logits.
    assert kept_for_backward(lambda: losses.info_nce(query, key, queue, 0.2), (query, key, queue)) < 1.1 * one
    # BCE: the logits, and the labels as numbers.
    labels = losses.top_k_labels(query.detach() @ queue.T, 20)
    assert labels.grad_fn is None

    def bce() -> torch.Tensor:
        return losses.multi_label_bce(losses.similarities(query, queue), labels, 0.2)

    assert kept_for_backward(bce, (query, queue)) < 2.1 * one
