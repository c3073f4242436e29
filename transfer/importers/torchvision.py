"""torchvision's ResNets and anything saved under their bare names, with or without DistributedDataParallel's prefix.

Left out: ``fc``. The preprocessing is torchvision's (ImageNet statistics, 0-1, RGB). Bare names do not say which method
trained the weights, so the method stays ``unknown``.
"""

from __future__ import annotations

from torch import Tensor

from transfer.importers.family import Checkpoint, Family, below, without_classifier

_DATA_PARALLEL = "module."
_FIRST, _LAST = "conv1.weight", "layer4.0.conv1.weight"


def _bare(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return below(_DATA_PARALLEL, tensors) if f"{_DATA_PARALLEL}{_FIRST}" in tensors else tensors


def _recognise(checkpoint: Checkpoint) -> str | None:
    tensors = _bare(checkpoint.tensors)
    if checkpoint.metadata.get("scenebench") or _FIRST not in tensors or _LAST not in tensors:
        return None
    return f"its tensors are named as torchvision's ({_FIRST}, {_LAST}, ...)"


def _backbone(checkpoint: Checkpoint) -> dict[str, Tensor]:
    return without_classifier(_bare(checkpoint.tensors))


FAMILY = Family(
    name="torchvision",
    description="torchvision names: conv1.weight, layer1.0.conv1.weight, ...",
    recognise=_recognise,
    backbone=_backbone,
    branch="only",
    method="unknown",
)
