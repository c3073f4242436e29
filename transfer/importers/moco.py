"""MoCo v1 and v2, as their reference code saves them: ``{"state_dict": {"module.encoder_q.conv1.weight": ...}}``.

The branch is the query encoder, which the gradient trains and which the papers transfer; ``encoder_k`` is its moving
average. Left out: ``encoder_q.fc`` (v1: linear, v2: MLP projection head), ``encoder_k``, ``queue``, ``queue_ptr``.
"""

from __future__ import annotations

from torch import Tensor

from transfer.importers.family import Checkpoint, Family, below, without_classifier

_PREFIXES = ("module.encoder_q.", "encoder_q.")  # saved from DistributedDataParallel, or without it


def _prefix(checkpoint: Checkpoint) -> str | None:
    return next((prefix for prefix in _PREFIXES if f"{prefix}conv1.weight" in checkpoint.tensors), None)


def _recognise(checkpoint: Checkpoint) -> str | None:
    prefix = _prefix(checkpoint)
    return None if prefix is None else f"its tensors are named {prefix}*"


def _backbone(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return without_classifier(below(_prefix(checkpoint) or _PREFIXES[0], checkpoint.tensors))


FAMILY = Family(
    name="moco",
    description="MoCo v1/v2: query encoder under module.encoder_q.",
    recognise=_recognise,
    backbone=_backbone,
    branch="query",
    method="moco",
)
