"""The sections ``optimiser`` and ``schedule``; the sources of the defaults are those named in :mod:`.recipe`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pretrain.recipes.checks import require
from scenebench.errors import UserError, require_choice


@dataclass
class OptimiserRecipe:
    """How the weights are updated."""

    name: str = "sgd"  # adamw: small networks on small data
    lr: float = 0.3  # MLS (ORL: 0.4 for BYOL)
    # None: ``lr`` is the rate at ``schedule.batch_size``, whatever that is. A number: ``lr`` is meant for so many
    # images a step and grows in proportion to ``schedule.batch_size``. The number of processes never matters.
    lr_batch_size: int | None = None
    weight_decay: float = 1e-4  # MLS, ORL
    momentum: float = 0.9  # of SGD and LARS; MOCO, ORL

    def __post_init__(self) -> None:
        require_choice("optimiser.name", self.name, ["sgd", "adamw"])
        require(self.lr > 0 and math.isfinite(self.lr), "optimiser.lr", self.lr, "positive")
        if self.lr_batch_size is not None:
            require(self.lr_batch_size >= 1, "optimiser.lr_batch_size", self.lr_batch_size, "at least 1, or null")
        require(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.momentum < 1, "optimiser.momentum", self.momentum, "in [0, 1)")


@dataclass
class ScheduleRecipe:
    """How long, in which batches, and how the learning rate falls."""

    epochs: int = 400  # MLS trains 400 or 800
    batch_size: int = 256  # global; not stated in MLS, 256 in MOCO and ORL wherever lr = 0.3
    warmup_epochs: float = 0.0  # linear warm-up of the learning rate; BYOL 4 (ORL)
    cosine: bool = True  # to 0; False keeps the rate constant

    def __post_init__(self) -> None:
        require(self.epochs >= 1, "schedule.epochs", self.epochs, "at least 1")
        require(self.batch_size >= 2, "schedule.batch_size", self.batch_size, "at least 2 (batch normalisation)")
        require(self.warmup_epochs >= 0, "schedule.warmup_epochs", self.warmup_epochs, "0 or more")
        if self.warmup_epochs > self.epochs:
            raise UserError(
                f"schedule.warmup_epochs: {self.warmup_epochs} is more than schedule.epochs = {self.epochs}"
            )
