"""The section ``run``: the machine's side, and what is written down."""

from __future__ import annotations

from dataclasses import dataclass

from pretrain.recipes.checks import require
from scenebench.errors import require_choice


@dataclass
class RunRecipe:
    """The machine's side."""

    device: str = "auto"  # cuda where there is one
    # bf16: autocast of the convolutions; losses and normalisations stay in float32. float64: to test equalities.
    precision: str = "bf16"
    channels_last: bool = True
    compile: bool = False  # does not pay on the CPU
    threads: int | None = None  # of torch in this process; None: torch's choice
    log_every: int = 50  # steps
    checkpoint_every_epochs: int = 1
    checkpoint_every_steps: int | None = None  # within an epoch, besides; None: only at ends of epochs
    tensorboard: bool = True

    def __post_init__(self) -> None:
        require_choice("run.device", self.device, ["auto", "cpu", "cuda"])
        require_choice("run.precision", self.precision, ["float64", "float32", "bf16"])
        if self.threads is not None:
            require(self.threads >= 1, "run.threads", self.threads, "at least 1, or null")
        require(self.log_every >= 1, "run.log_every", self.log_every, "at least 1")
        require(
            self.checkpoint_every_epochs >= 1, "run.checkpoint_every_epochs", self.checkpoint_every_epochs, "1 or more"
        )
        if self.checkpoint_every_steps is not None:
            require(
                self.checkpoint_every_steps >= 1,
                "run.checkpoint_every_steps",
                self.checkpoint_every_steps,
                "1 or more, or null",
            )
