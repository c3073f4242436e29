"""(c) Loader and step together, and the loader alone over numbers of workers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.speed.cases import Case
from benchmarks.speed.peers import LightlyStep, PilPairs, lightly_views
from benchmarks.speed.steps import build_step, device_of, wait_for
from pretrain.data.loading import PretrainDataset, build_loader
from pretrain.data.views import Batch
from pretrain.recipes.recipe import Recipe

EPOCH = 100_000  # images, so that no epoch ends while it is timed; COCO's are as long
WARM_UP = 2  # steps that are not timed: the first batch is waited for, the second was made meanwhile


@dataclass(frozen=True)
class Together:
    """What one turn of a contender found."""

    images_per_second: float
    data_wait_share: float


def ours_together(recipe: Recipe, files: Sequence[Path], seconds: float) -> Together:
    """Train on the files for ``seconds``, from a cold loader."""
    method, step = build_step(recipe, files)
    method.on_epoch_start(0)
    batches = _endless(recipe, PretrainDataset(recipe, list(files), method.local_box_sampler()))

    def one(batch: Batch) -> None:
        step(batch, recipe.optimiser.lr)

    return _timed(batches, one, recipe, seconds)


def lightly_together(case: Case, recipe: Recipe, files: Sequence[Path], seconds: float) -> Together:
    """The same for lightly, with as many workers and torch's default prefetch."""
    device = device_of(recipe)
    step = LightlyStep(case.architecture, device, recipe.run.precision == "bf16", channels_last=device.type == "cuda")
    dataset = PilPairs(files, lightly_views(case.crop_size), EPOCH)

    def batches() -> Iterator[list[Tensor]]:
        while True:
            yield from DataLoader(
                dataset, case.batch_size, shuffle=True, drop_last=True, num_workers=recipe.data.workers,
                pin_memory=device.type == "cuda",
            )  # fmt: skip

    def one(views: list[Tensor]) -> None:
        step(views)

    return _timed(batches(), one, recipe, seconds)


def loader_alone(recipe: Recipe, files: Sequence[Path], seconds: float) -> Together:
    """Batches taken and thrown away."""
    batches = _endless(recipe, PretrainDataset(recipe, list(files)))
    return _timed(batches, lambda batch: None, recipe, seconds)


def _endless(recipe: Recipe, dataset: PretrainDataset) -> Iterator[Batch]:
    recipe.data.images_per_epoch = EPOCH
    epoch = 0
    while True:
        yield from build_loader(recipe, dataset, epoch)
        epoch += 1


def _timed(batches: Iterator[object], step: Callable[..., None], recipe: Recipe, seconds: float) -> Together:
    device = device_of(recipe)
    for _ in range(WARM_UP):
        step(next(batches))
    wait_for(device)
    begun = time.perf_counter()
    waited, images = 0.0, 0
    while time.perf_counter() - begun < seconds or images == 0:
        asked = time.perf_counter()
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)
        images += recipe.schedule.batch_size
    wait_for(device)
    elapsed = time.perf_counter() - begun
    batches.close()  # type: ignore[attr-defined]
    return Together(images / elapsed, waited / elapsed)
