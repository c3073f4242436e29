"""What ``scenebench cost`` prints."""

from __future__ import annotations

import os
from collections.abc import Sequence

from benchmarks.evaluation.environment import describe_environment
from benchmarks.speed.cost import Cost, Machine
from benchmarks.speed.steps import device_of
from pretrain.recipes.recipe import Recipe


def render(recipe: Recipe, cost: Cost, machines: Sequence[Machine]) -> str:
    """A few lines about this machine, then a table of the others."""
    environment = describe_environment()
    steps = cost.images // recipe.schedule.batch_size
    where = environment.accelerator or f"{environment.processor}, {len(os.sched_getaffinity(0))} cores, no GPU"
    on_gpu = device_of(recipe).type == "cuda"
    probe = f"a batch of {cost.probe_batch}" + (
        "" if cost.probe_batch == recipe.schedule.batch_size else " (scaled up)"
    )
    lines = [
        f"{recipe.name}: {recipe.schedule.epochs} epochs, {cost.images / 1e6:.2f} million images, {steps:,} steps of "
        f"{recipe.schedule.batch_size}; {cost.flops_per_image / 1e9:.2f} GFLOP an image",
        f"this machine ({where}), probed with {probe}:",
        f"  step {cost.step_rate:.1f} images/s; loader {cost.loader_rate:.0f} images/s with {recipe.data.workers} "
        f"workers asked for; together {cost.rate:.1f} images/s" + ("" if on_gpu else " (both on the same cores)"),
        f"  memory {cost.memory / 1e9:.1f} GB {'of the GPU' if on_gpu else 'beside the libraries'}, and "
        f"{cost.loader_memory / 1e9:.2f} GB for batches in flight",
        f"  {_hours(cost.hours)}" + (" = GPU-hours" if on_gpu else ""),
        "other machines, from what they reached with a known recipe and the operations of either:",
        f"  {'machine':<42}{'hours':>10}{'GPU-hours':>12}  from",
    ]
    for machine in machines:
        hours = machine.hours(cost.images, cost.flops_per_image)
        gpu_hours = f"{hours * machine.gpus:.1f}" if machine.gpus else "-"
        lines.append(f"  {machine.name:<42}{hours:>10.1f}{gpu_hours:>12}  {machine.source}")
    return "\n".join(lines)


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours < 100 else f"{hours:,.0f} hours ({hours / 24:,.0f} days)"
