"""Our own backbone file: read as it is, with everything that its header says."""

from __future__ import annotations

from torch import Tensor

from transfer.importers.family import Checkpoint, Family


def _recognise(checkpoint: Checkpoint) -> str | None:
    return "its header carries scenebench's metadata" if checkpoint.metadata.get("scenebench") else None


def _backbone(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return checkpoint.tensors


FAMILY = Family(
    name="ours",
    description="a backbone file of scenebench (.safetensors)",
    recognise=_recognise,
    backbone=_backbone,
    branch="only",
    method="unknown",
)
