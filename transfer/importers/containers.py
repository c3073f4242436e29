"""Where in a checkpoint the state dict is: training scripts wrap it in dictionaries of many shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.family import Checkpoint

# Looked for in this order; the first found is *the* state dict and its tensors keep their names.
_MAIN = (
    ("state_dict",),  # MoCo, SwAV, SimSiam, OpenMMLab, Lightning, timm
    ("model",),  # SoCo, SlotCon, Detectron2
    ("classy_state_dict", "base_model", "model", "trunk"),  # VISSL
    ("model_state_dict",),  # VISSL, after its own extraction
)
# A second copy of the network beside it, or in place of it: names get the container's key in front, ``model_ema/...``.
_SECOND = (
    "model_ema",  # SoCo
    "state_dict_ema",  # timm
    "online_network_state_dict",  # PyTorch-BYOL
    "target_network_state_dict",
)


def find_state_dict(path: Path, content: Any) -> Checkpoint:
    """The named tensors of what a checkpoint holds; optimiser states, schedules and counters are left alone.

    Args:
        content: plain containers and tensors, as read without running anything.

    Raises:
        UserError: no named tensors, neither at the top nor under a known key.
    """
    container = ""
    tensors: dict[str, Tensor] = {}
    if isinstance(content, dict):
        container, tensors = _main(content)
        for key in _SECOND:
            tensors |= {f"{key}/{name}": tensor for name, tensor in _named_tensors(content.get(key)).items()}
    if not tensors:
        known = ", ".join(f"'{'.'.join(keys)}'" for keys in (*_MAIN, *((key,) for key in _SECOND)))
        raise UserError(f"{path}: holds no state dict (named tensors at the top, or under one of {known})")
    return Checkpoint(path, tensors, container=container)


def _main(content: dict[Any, Any]) -> tuple[str, dict[str, Tensor]]:
    for keys in _MAIN:
        inner: Any = content
        for key in keys:
            inner = inner.get(key) if isinstance(inner, dict) else None
        tensors = _named_tensors(inner)
        if tensors:
            return ".".join(keys), tensors
    return "", _named_tensors(content)


def _named_tensors(content: Any) -> dict[str, Tensor]:
    if not isinstance(content, dict):
        return {}
    return {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
