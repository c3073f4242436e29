"""One optimiser step, for every method. On a GPU nothing in it waits for the device."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pretrain.computer import on_device
from pretrain.data.views import Batch
from pretrain.distributed import GroupedStatistics
from pretrain.methods.base import Method
from pretrain.optimiser import set_learning_rate
from pretrain.recipes.recipe import Recipe


class TrainingStep:
    """Forward, backward, update, momentum copy.

    Args:
        module: the method as Fabric wrapped it, or itself.
        backward: of a scalar loss; Fabric's, or None for a plain one.
        grouped_statistics: where BN groups are shared among processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        method: Method,
        optimiser: Any,
        module: Any = None,
        backward: Any = None,
        grouped_statistics: GroupedStatistics | None = None,
    ) -> None:
        self.method = method
        self.optimiser = optimiser
        self.module = method if module is None else module
        self.backward = torch.Tensor.backward if backward is None else backward
        self.grouped_statistics = grouped_statistics
        self.bf16 = recipe.run.precision == "bf16"

    def __call__(self, batch: Batch, lr: float, is_logged: bool = False) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss before the update, and what to log (more of it where ``is_logged``); both on the device."""
        device = self.method.device
        self.method.is_logged = is_logged
        set_learning_rate(self.optimiser, lr)
        if self.grouped_statistics is not None:
            self.grouped_statistics.before_step()
        with torch.autocast(device.type, torch.bfloat16, enabled=self.bf16):
            loss, log = self.module(on_device(batch, device))
        self.optimiser.zero_grad(set_to_none=True)
        self.backward(loss)
        self.optimiser.step()
        if self.grouped_statistics is not None:
            self.grouped_statistics.after_step()
        self.method.after_step()
        return loss.detach(), log


class FirstNotFinite:
    """Remembers, on the device, the first step whose loss was not finite; asking is what waits."""

    def __init__(self, device: torch.device) -> None:
        self._step = torch.full((), -1, dtype=torch.int64, device=device)

    def note(self, loss: Tensor, step: int) -> None:
        """Look at the loss of one step."""
        bad = ~torch.isfinite(loss) & (self._step < 0)
        self._step = torch.where(bad, step, self._step)

    def step(self) -> int | None:
        """That step, or None."""
        found = int(self._step)
        return None if found < 0 else found
