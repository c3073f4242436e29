"""``scenebench cost RECIPE``: hours and memory of a recipe, on this machine from a probe, on others from a table."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.speed.memory import peak_memory
from benchmarks.speed.photographs import write_photographs
from benchmarks.speed.steps import build_step, device_of, step_alone, synthetic_batch
from pretrain.data.loading import PretrainDataset
from pretrain.data.sources import ImageFiles, list_images
from pretrain.recipes.recipe import Recipe, load_recipe, resolve_recipe
from scenebench.config import read_yaml
from scenebench.errors import UserError

MACHINES = Path(__file__).parent / "machines.yaml"
COCO_IMAGES = 118_287  # train2017
STEP_SECONDS = 4.0  # the probe's batch is as large as the recipe's, or as takes about so long
SMALLEST = 4  # images in the probe's batch, at least; half of it is measured too


@dataclass(frozen=True)
class Cost:
    """Of a whole run on this machine.

    Attributes:
        images: over all epochs.
        flops_per_image: of a training step, multiply and add counted apart.
        probe_batch: images a step in the probe.
        step_rate, loader_rate: images per second of each alone; the loader's with all its workers.
        rate: of both together: on a GPU the slower one's; on the CPU they share the cores, so their times add.
        memory: bytes; of the GPU, or of this machine.
        loader_memory: bytes of the batches in flight, on the host.
    """

    images: int
    flops_per_image: float
    probe_batch: int
    step_rate: float
    loader_rate: float
    rate: float
    memory: int
    loader_memory: int

    @property
    def hours(self) -> float:
        """Of the whole run."""
        return self.images / self.rate / 3600


@dataclass(frozen=True)
class Machine:
    """A row of ``machines.yaml``."""

    name: str
    gpus: int
    recipe: str
    overrides: list[str]
    images_per_second: float
    source: str

    def hours(self, images: int, flops_per_image: float) -> float:
        """Of so many images that each cost so much, at the rate of operations that the machine reached."""
        known = flops_of(load_recipe(self.recipe, self.overrides))
        return images / (self.images_per_second * known / flops_per_image) / 3600


def machines() -> list[Machine]:
    """The table."""
    rows: Any = read_yaml(MACHINES)
    return [Machine(**row) for row in rows["machines"]]


def predict(recipe: Recipe, images: int | None, seconds: float = 60.0) -> Cost:
    """Probe this machine for about ``seconds``.

    Args:
        images: in an epoch; None counts those of ``data.root``, or takes COCO's where there is none.

    Raises:
        UserError: a method that trains nothing, a data root that cannot be used.
    """
    if not recipe.about.trains:
        raise UserError(f"method: {recipe.method} trains nothing, so it costs nothing")
    with tempfile.TemporaryDirectory() as folder:
        files: ImageFiles
        if recipe.data.root:
            files = list_images(recipe.data.root, recipe.data.images)
        else:
            files = write_photographs(Path(folder), 64, [])
            images = images or COCO_IMAGES
        per_epoch = recipe.steps_per_epoch(images or len(files)) * recipe.schedule.batch_size
        if per_epoch == 0:
            raise UserError(f"--images: {images or len(files)} is less than one batch of {recipe.schedule.batch_size}")
        flops = flops_of(recipe)
        loader_rate = _loader_rate(recipe, files, seconds / 6)
        batch, step_rate = _step_rate(recipe, seconds / 2)
        memory = _memory(recipe, batch)
    shared = device_of(recipe).type == "cpu"
    rate = 1 / (1 / step_rate + 1 / loader_rate) if shared else min(step_rate, loader_rate)
    return Cost(
        images=recipe.schedule.epochs * per_epoch,
        flops_per_image=flops,
        probe_batch=batch,
        step_rate=step_rate,
        loader_rate=loader_rate,
        rate=rate,
        memory=memory,
        loader_memory=_loader_memory(recipe),
    )


def flops_of(recipe: Recipe) -> float:
    """Floating-point operations that one image costs in a training step (convolutions and matrix products)."""
    small = _resized(recipe, 2)
    small.run.device = "cpu"
    small.run.precision = "float32"
    _, step = build_step(small, _names())
    batch = synthetic_batch(small, len(_names()))
    with FlopCounterMode(display=False) as counter:
        step(batch, 0.0)
    return counter.get_total_flops() / 2


def _step_rate(recipe: Recipe, seconds: float) -> tuple[int, float]:
    """The probe's batch, and images per second of the step alone."""
    batch = recipe.schedule.batch_size
    if device_of(recipe).type == "cpu":
        batch = min(batch, SMALLEST)
        per_image = _seconds_of(step_alone(_resized(recipe, batch), _names())) / batch
        if per_image * batch > STEP_SECONDS:
            return batch, 1 / per_image  # a machine as slow as this is measured well enough by one step
        wanted = max(SMALLEST, 2 ** int(math.log2(max(1.0, STEP_SECONDS / per_image))))
        batch = min(recipe.schedule.batch_size, wanted)
    work = step_alone(_resized(recipe, batch), _names())
    work()
    begun, images = time.perf_counter(), 0
    while images == 0 or time.perf_counter() - begun < seconds:
        images += work()
    return batch, images / (time.perf_counter() - begun)


def _loader_rate(recipe: Recipe, files: ImageFiles, seconds: float) -> float:
    """Images per second of all loader processes: one core's, measured by its own time, times the cores used."""
    small = _resized(recipe, SMALLEST)
    small.data.cache = "none"
    small.data.images_per_epoch = 100_000
    method, _ = build_step(small, list(files))
    dataset = PretrainDataset(small, list(files), method.local_box_sampler())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        dataset.load_batch(0, 0)
        begun, images = time.process_time(), 0
        while images == 0 or time.process_time() - begun < seconds:
            dataset.load_batch(0, images // SMALLEST)
            images += SMALLEST
        one = images / (time.process_time() - begun)
    finally:
        torch.set_num_threads(threads)
    return one * min(max(1, recipe.data.workers), len(os.sched_getaffinity(0)))


def _memory(recipe: Recipe, batch: int) -> int:
    """At the recipe's batch; on the CPU continued in a straight line from the probe's batch and half of it."""
    device = device_of(recipe)

    def at(size: int) -> int:
        return peak_memory(partial(step_alone, _resized(recipe, size), _names()), device, portions=1)

    if batch == recipe.schedule.batch_size:
        return at(batch)
    half = max(2, batch // 2)
    small, large = at(half), at(batch)
    return round(large + max(0, large - small) / (batch - half) * (recipe.schedule.batch_size - batch))


def _loader_memory(recipe: Recipe) -> int:
    pairs, size = recipe.about.local_crops(recipe)
    crops = 2 * recipe.views.crop_size**2 + 2 * pairs * size**2
    return (2 * recipe.data.workers + 2) * recipe.schedule.batch_size * 3 * crops


def _resized(recipe: Recipe, batch: int) -> Recipe:
    """The same recipe with another batch; groups of shuffle-BN, which cost nothing, are one."""
    plain = recipe.to_plain()
    plain["schedule"]["batch_size"] = batch
    plain["network"]["bn_groups"] = 1
    plain["data"]["images_per_epoch"] = None
    resized: Recipe = resolve_recipe(plain, where=f"recipe {recipe.name}")
    return resized


def _seconds_of(work: Callable[[], int]) -> float:
    work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _names() -> Sequence[Path]:
    """Images that are never read: the step has a batch of its own."""
    return [Path(f"{number}.jpg") for number in range(16)]
