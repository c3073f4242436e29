"""After the event that guards a slot of the ring nothing reads the slot: a worker may be writing there already.

A GPU would show a mistake as wrong labels now and then. Here torch's "meta" device stands for it: every operator that a
step calls is watched, and none may take a tensor that lies in the ring once :func:`on_device` has returned.
"""

from __future__ import annotations

import dataclasses
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from method_batches import own_keys
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pretrain import computer
from pretrain import step as step_module
from pretrain.data import augment
from pretrain.data.batch_ring import BatchRing
from pretrain.data.views import Batch
from pretrain.methods.base import build_method
from pretrain.recipes.recipe import Recipe, load_recipe
from pretrain.step import TrainingStep

BATCH = 4
IMAGES = [Path(f"{index}.jpg") for index in range(10)]
SMALL = [
    "network.stem_width=8", "network.projector.output_dim=8", f"schedule.batch_size={BATCH}", "views.crop_size=32",
    "views.solarise_p=0.5", "saliency.crop_size=32", "run.log_every=1",
]  # fmt: skip
SMALL_VIT = [
    f"schedule.batch_size={BATCH}", "views.crop_size=32", "network.vit.width=16", "network.vit.depth=1",
    "network.vit.heads=1", "network.vit.patch=16", "network.vit.image_size=32", "moco.queue_size=16",
]  # fmt: skip
METHODS = {
    "moco": ("moco_demo", [*SMALL, "moco.queue_size=16"]),
    "moco with shuffle-BN": ("moco_demo", [*SMALL, "moco.queue_size=16", "network.bn_groups=2"]),
    "moco on a ViT": ("moco_vit_coco", SMALL_VIT),
    "mls": ("mls_demo", [*SMALL, "mls.dictionary_size=16", "mls.k=3"]),
    "mls after": ("mls_demo", [*SMALL, "mls.dictionary_size=16", "mls.k=3", "mls.order=slot_shifted"]),
    "densecl": ("densecl_demo", [*SMALL, "densecl.queue_size=16"]),
    "byol": ("byol_demo", [*SMALL, "byol.predictor_hidden_dim=16"]),
    "saliency": ("saliency_demo", [*SMALL, "moco.queue_size=16"]),
    "saliency on byol": ("saliency_byol_demo", [*SMALL, "byol.predictor_hidden_dim=16"]),
    "supervised": ("supervised_demo", SMALL),
}


def recipe_of(name: str, *extra: str) -> Recipe:
    recipe, overrides = METHODS[name]
    return load_recipe(recipe, [*own_keys(load_recipe(recipe).method, overrides), *extra])


class ReadsOf(TorchDispatchMode):
    """Notes the operators that take a tensor of the ring, and what had happened by then."""

    def __init__(self, ring: BatchRing) -> None:
        super().__init__()
        first = torch.frombuffer(ring._memory, dtype=torch.uint8).data_ptr()
        self.addresses = range(first, first + ring.nbytes)
        self.returned = False
        self.before: list[str] = []
        self.after: list[str] = []

    def lies_there(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and value.device.type == "cpu" and value.data_ptr() in self.addresses

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in tree_leaves((args, kwargs or {})):
            if self.lies_there(value):
                (self.after if self.returned else self.before).append(f"{func} of {tuple(value.shape)} {value.dtype}")
        return func(*args, **(kwargs or {}))


def filled_ring(recipe: Recipe) -> BatchRing:
    pairs, crop_size = recipe.about.local_crops(recipe)
    sizes = (BATCH, recipe.views.crop_size, pairs, crop_size)
    ring = BatchRing(1, lambda allocate: Batch.empty(*sizes, allocate))
    (batch,) = ring.batches
    batch.indices.copy_(torch.arange(BATCH))
    for views, boxes, photometric in (
        (batch.global_views, batch.global_boxes, batch.global_photometric),
        (batch.local_views, batch.local_boxes, batch.local_photometric),
    ):
        if views is None or boxes is None or photometric is None:
            continue
        views.random_(0, 256)
        boxes.copy_(torch.tensor([0.1, 0.1, 0.6, 0.7]))
        for number, row in enumerate(photometric.flatten(0, -2)):
            row.copy_(torch.from_numpy(augment.draw_parameters(np.random.default_rng(number), recipe.views, 1)))
    return ring


@pytest.fixture
def annotations(tmp_path: Path) -> str:
    objects = [{"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16, "iscrowd": 0}]
    images = [{"id": index, "file_name": path.name, "width": 8, "height": 8} for index, path in enumerate(IMAGES)]
    content = {"images": images, "categories": [{"id": 1, "name": "thing"}], "annotations": objects}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    return f"data.annotations={tmp_path / 'instances.json'}"


@pytest.mark.parametrize("name", METHODS)
def test_nothing_reads_the_ring_after_the_event(name: str, annotations: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: nullcontext())  # there is none for "meta"
    recipe = recipe_of(name, *([annotations] if name == "supervised" else []))
    method = build_method(recipe, IMAGES).to("meta")
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    step = TrainingStep(recipe, method, torch.optim.SGD(trained, lr=0.1))  # ours is fused: not for "meta"
    ring = filled_ring(recipe)
    reads = ReadsOf(ring)

    def watched(batch: Batch, device: torch.device) -> Batch:
        moved = computer.on_device(batch, device)
        reads.returned = True
        return moved

    monkeypatch.setattr(step_module, "on_device", watched)
    with reads:
        loss, _ = step(ring.batches[0], lr=0.1)
    assert loss.device.type == "meta"
    assert any("torch.uint8" in read for read in reads.before)  # the test would see a read
    assert reads.after == []


@pytest.mark.parametrize("name", ["moco", "saliency"])
def test_what_is_on_the_device_shares_no_memory_with_the_ring(name: str) -> None:
    recipe = recipe_of(name)
    ring = filled_ring(recipe)
    moved = computer.on_device(ring.batches[0], torch.device("meta"))
    reads = ReadsOf(ring)
    assert reads.lies_there(ring.batches[0].indices)
    tensors = {field.name: getattr(moved, field.name) for field in dataclasses.fields(moved)}
    assert [key for key, value in tensors.items() if reads.lies_there(value)] == []
    assert moved.indices.device.type == "meta"
    assert moved.on_host.tolist() == list(range(BATCH))


def test_the_event_is_recorded_after_the_last_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipe_of("saliency")
    ring = filled_ring(recipe)
    reads = ReadsOf(ring)

    class Event:
        def record(self) -> None:
            reads.returned = True

    class Device:  # a "cuda" whose memory is that of "meta"
        type = "cuda"

    to = torch.Tensor.to
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(
        torch.Tensor,
        "to",
        lambda self, *args, **kwargs: to(self, *("meta" if isinstance(arg, Device) else arg for arg in args), **kwargs),
    )
    with reads:
        computer.on_device(ring.batches[0], Device())  # type: ignore[arg-type]
    assert reads.returned
    assert len(reads.before) >= 7
    assert reads.after == []
    assert isinstance(ring.batches[0].copied, Event)
