"""The optimiser and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from pretrain.recipes.optimisation import OptimiserRecipe, ScheduleRecipe


def build_optimiser(recipe: OptimiserRecipe, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW over the parameters that want a gradient, all with weight decay (as MoCo)."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    if recipe.name == "adamw":
        return torch.optim.AdamW(trained, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    return torch.optim.SGD(
        trained, lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay, fused=True
    )


def learning_rate(lr: float, schedule: ScheduleRecipe, step: int, steps_per_epoch: int) -> float:
    """The rate of one step, a pure function of its number, so that a resume needs no scheduler state.

    Linear warm-up from ``lr / warm-up steps`` to ``lr``, then a cosine to 0 at the end of the last step. (MoCo's code
    lowers the rate once an epoch; over 400 epochs the two differ by less than 1 % of ``lr``.)

    Args:
        step: 0-based, over the whole run.
    """
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return lr * (step + 1) / warmup
    if not schedule.cosine:
        return lr
    total = schedule.epochs * steps_per_epoch
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def peak_rate(optimiser: OptimiserRecipe, schedule: ScheduleRecipe) -> float:
    """The highest rate of the schedule: ``lr``, scaled by the global batch where ``lr_batch_size`` is given."""
    if optimiser.lr_batch_size is None:
        return optimiser.lr
    return optimiser.lr * schedule.batch_size / optimiser.lr_batch_size


def set_learning_rate(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every group the same rate."""
    for group in optimiser.param_groups:
        group["lr"] = lr
