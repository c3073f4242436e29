"""The optimiser of a detection protocol: Detectron2's parameter groups, with the clipping it does not offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from benchmarks.protocols.detection import DetectionSettings

if TYPE_CHECKING:
    from detectron2.config import CfgNode


def build_optimiser(cfg: CfgNode, model: torch.nn.Module, settings: DetectionSettings) -> torch.optim.Optimizer:
    """AdamW or SGD (momentum and rates from ``cfg.SOLVER``) over the model's trained parameters.

    Norms have their own weight decay, ``SOLVER.WEIGHT_DECAY_NORM``. Gradients are clipped by the norm of all parameters
    together (``settings.clip_norm``); Detectron2's own ``norm`` clips each parameter alone.
    """
    from detectron2.solver.build import get_default_optimizer_params

    groups = get_default_optimizer_params(model, weight_decay_norm=cfg.SOLVER.WEIGHT_DECAY_NORM)
    rates: dict[str, Any] = {"lr": cfg.SOLVER.BASE_LR, "weight_decay": cfg.SOLVER.WEIGHT_DECAY}
    if settings.optimiser == "sgd":
        momentum = {"momentum": cfg.SOLVER.MOMENTUM, "nesterov": cfg.SOLVER.NESTEROV}
        # foreach as in Detectron2: on a CPU it is not torch's default, and the step is some percent slower without.
        optimiser: torch.optim.Optimizer = torch.optim.SGD(groups, foreach=True, **momentum, **rates)
    else:
        optimiser = torch.optim.AdamW(groups, **rates)
    if settings.clip_norm > 0:
        _clip_before_steps(optimiser, settings.clip_norm)
    return optimiser


def _clip_before_steps(optimiser: torch.optim.Optimizer, largest_norm: float) -> None:
    def clip(optimiser: torch.optim.Optimizer, _arguments: Any, _options: Any) -> None:
        parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
        torch.nn.utils.clip_grad_norm_(parameters, largest_norm)

    optimiser.register_step_pre_hook(clip)
