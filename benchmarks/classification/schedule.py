"""How the learning rate changes: a factor on every group's own rate."""

from __future__ import annotations

import math

from benchmarks.protocols.classification import TrainSettings


def rate_factor(settings: TrainSettings, step: int, steps_per_epoch: int) -> float:
    """Factor of the learning rate at an iteration (0-based).

    ``step``: times ``step_factor`` for each epoch of ``steps`` that was reached. ``cosine``: (1 + cos(pi t / T)) / 2 by
    iteration. On top of either, a linear rise over ``warmup_epochs``: (step + 1) / (iterations of the warm-up).
    """
    if settings.decay == "step":
        factor = settings.step_factor ** sum(step >= epoch * steps_per_epoch for epoch in settings.steps)
    else:
        factor = 0.5 * (1.0 + math.cos(math.pi * step / (settings.epochs * steps_per_epoch)))
    warmup = settings.warmup_epochs * steps_per_epoch
    return factor * min(1.0, (step + 1) / warmup) if warmup > 0 else factor
