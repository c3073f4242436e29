"""The machine a run trains on: its device, the processes that torchrun started, and batches on the device."""

from __future__ import annotations

import dataclasses
import os
import warnings
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import DDPStrategy
from torch import Tensor

from pretrain.data.views import Batch
from pretrain.distributed import started_processes
from pretrain.recipes.method_registry import method_class, method_names
from pretrain.recipes.recipe import Recipe
from scenebench.errors import UserError
from scenebench.processors import computes_bf16, cpu_info


def set_up_fabric(recipe: Recipe) -> Fabric:
    """The device and precision of the recipe; with several processes, after they have found one another."""
    device = device_type(recipe)
    # Not Fabric's own mixed precision: it would also round the boxes of the batch to bfloat16.
    precision: Literal["64-true", "32-true"] = "64-true" if recipe.run.precision == "float64" else "32-true"
    processes = started_processes()
    # Where Slurm is installed Fabric asks for srun; cells there are started by the workflow, and several processes by
    # torchrun.
    warnings.filterwarnings("ignore", message="The `srun` command is available")
    if processes == 1:
        return Fabric(accelerator=device, devices=1, precision=precision)
    here = int(os.environ.get("LOCAL_WORLD_SIZE", processes))
    # Buffers are equal in all processes by construction; sending the dictionaries around at each step would cost most.
    strategy = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
    fabric = Fabric(
        accelerator=device, devices=here, num_nodes=processes // here, strategy=strategy, precision=precision
    )
    fabric.launch()
    return fabric


def device_type(recipe: Recipe) -> str:
    """``cuda`` or ``cpu``: where the recipe trains on this machine."""
    if recipe.run.device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return recipe.run.device


def check_device(recipe: Recipe) -> None:
    """Refuse a device that this machine does not have, and a precision that the device only emulates."""
    if recipe.run.device == "cuda" and not torch.cuda.is_available():
        raise UserError("run.device: there is no CUDA device here; use run.device=cpu or auto")
    if recipe.run.precision != "bf16":
        return
    if device_type(recipe) == "cpu" and not computes_bf16():
        raise UserError(
            f"run.precision: this processor ({cpu_info('model name') or 'of an unknown name'}) does not compute bf16 "
            "(it has neither avx512_bf16 nor amx_bf16); set run.precision=float32"
        )
    if device_type(recipe) == "cuda" and not gpu_computes_bf16():
        raise UserError(
            f"run.precision: this GPU ({torch.cuda.get_device_name()}) does not compute bf16; set run.precision=float32"
        )


def gpu_computes_bf16() -> bool:
    """Whether the GPU has units for bfloat16 (those before Ampere have none; torch would emulate it)."""
    return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def check_processes(recipe: Recipe) -> None:
    """Refuse a batch, or groups of shuffle-BN, that the started processes cannot share equally."""
    processes, batch, groups = started_processes(), recipe.schedule.batch_size, recipe.network.bn_groups
    if processes == 1:
        return
    if batch % processes:
        raise UserError(
            f"schedule.batch_size: {batch} (of all processes together) does not divide by the {processes} processes; "
            f"use {max(1, batch // processes) * processes}"
        )
    if groups == 1:
        return
    if not recipe.about.one_pass:
        able = ", ".join(name for name in method_names() if method_class(name).one_pass)
        raise UserError(
            f"network.bn_groups: {groups} groups with {processes} processes serve {able} only; "
            f"set network.bn_groups=1 (synchronised over the processes) for {recipe.method}"
        )
    if groups % processes:
        raise UserError(
            f"network.bn_groups: {groups} does not divide by the {processes} processes; use "
            f"{max(1, groups // processes) * processes}, or 1 (synchronised over the processes)"
        )


def on_device(batch: Batch, device: torch.device) -> Batch:
    """``batch`` there, not waited for; ``batch.copied`` tells when its memory is no longer read.

    Nothing of what is returned lies in the memory of ``batch``, which a worker may write again as soon as the event has
    happened (on the CPU: as soon as the next batch but one is asked for). What the host decides by stays on it as
    copies: the photometric parameters (which operators to run) and ``host_indices`` (which maps to look up).
    """
    if device.type == "cpu":
        return batch
    tensors = {
        field.name: getattr(batch, field.name)
        for field in dataclasses.fields(batch)
        if isinstance(getattr(batch, field.name), Tensor)
    }
    moved = {
        name: tensor.clone() if name.endswith("photometric") else tensor.to(device, non_blocking=True)
        for name, tensor in tensors.items()
    }
    moved["host_indices"] = batch.indices.clone()
    if device.type == "cuda":  # last: a copy that is queued behind the event is not waited for
        batch.copied = torch.cuda.Event()
        batch.copied.record()
    return dataclasses.replace(batch, **moved)
