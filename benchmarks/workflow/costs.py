"""GPU-hours of a pretraining where the suite states none: operations counted, at the rate of a measured machine."""

from __future__ import annotations

from pretrain.recipes.recipe import Recipe

GPUS_COMPARED = "8 x V100"
"""GPU-hours, stated or estimated, are those of a V100 in float32, for which published times are known."""


def estimated_gpu_hours(recipe: Recipe) -> float:
    """GPU-hours of one run on COCO's training images. Takes some seconds: the network is built once."""
    from benchmarks.speed.cost import COCO_IMAGES, flops_of, machines

    images = recipe.schedule.epochs * recipe.steps_per_epoch(COCO_IMAGES) * recipe.schedule.batch_size
    machine = min(machines(), key=lambda machine: machine.images_per_second)  # the cautious one
    return machine.hours(images, flops_of(recipe)) * machine.gpus
