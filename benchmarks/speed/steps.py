"""(b) The training step alone: views are already in memory, so that the loader has no part in it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from benchmarks.speed.cases import Case
from benchmarks.speed.peers import LightlyStep
from pretrain.computer import device_type
from pretrain.data.augment import draw_parameters
from pretrain.data.sources import ImageFiles
from pretrain.data.views import Batch
from pretrain.methods.base import Method, build_method
from pretrain.optimiser import build_optimiser
from pretrain.recipes.recipe import Recipe
from pretrain.step import TrainingStep


def device_of(recipe: Recipe) -> torch.device:
    """Where the recipe trains on this machine."""
    return torch.device(device_type(recipe))


def build_step(recipe: Recipe, images: ImageFiles) -> tuple[Method, TrainingStep]:
    """A method on its device, and its step, as the training loop puts them together."""
    method = build_method(recipe, list(images)).to(device_of(recipe))
    return method, TrainingStep(recipe, method, build_optimiser(recipe.optimiser, method.parameters()))


def synthetic_batch(recipe: Recipe, images: int) -> Batch:
    """Noise with drawn photometric parameters; boxes as a saliency method may draw them."""
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    pairs, crop = recipe.about.local_crops(recipe)
    size = recipe.schedule.batch_size
    batch = Batch.empty(size, recipe.views.crop_size, pairs, crop)
    batch.indices = torch.arange(size) % images
    for views, boxes, photometric in (
        (batch.global_views, batch.global_boxes, batch.global_photometric),
        (batch.local_views, batch.local_boxes, batch.local_photometric),
    ):
        if views is None or boxes is None or photometric is None:
            continue
        views.random_(0, 256, generator=generator)
        corners = torch.rand(*boxes.shape[:-1], 2, generator=generator) * 0.5
        boxes.copy_(torch.cat([corners, corners + 0.4], dim=-1))
        for number, row in enumerate(photometric.flatten(0, -2)):
            row.copy_(torch.from_numpy(draw_parameters(rng, recipe.views, number % 2)))
    return batch


def step_alone(recipe: Recipe, images: ImageFiles) -> Callable[[], int]:
    """A contender: one step of ours on the same batch, on a GPU waited for."""
    _, step = build_step(recipe, images)
    batch = synthetic_batch(recipe, len(images))

    def work() -> int:
        step(batch, recipe.optimiser.lr)
        wait_for(device_of(recipe))
        return recipe.schedule.batch_size

    return work


def lightly_step_alone(case: Case, recipe: Recipe) -> Callable[[], int]:
    """The same for lightly's MoCo-v2, whose views come augmented; fp32 or bf16 as ours."""
    device = device_of(recipe)
    step = LightlyStep(case.architecture, device, recipe.run.precision == "bf16", channels_last=device.type == "cuda")
    views = [torch.randn(case.batch_size, 3, case.crop_size, case.crop_size) for _ in range(2)]

    def work() -> int:
        step(views)
        wait_for(device)
        return case.batch_size

    return work


def wait_for(device: torch.device) -> None:
    """Until all work queued on a GPU is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
