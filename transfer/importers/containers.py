"""Where in a checkpoint the state dict is: training scripts wrap it in dictionaries of many shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

# Looked for in this order; the first found is *the* state dict and its tensors keep their names.
_MAIN = (
    ("state_dict",),  # MoCo, SwAV, SimSiam, OpenMMLab, Lightning, timm
    ("model",),  # SoCo, SlotCon, Detectron2
    ("blobs",),  # Caffe2
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
KNOWN_KEYS = (*(".".join(keys) for keys in _MAIN), *_SECOND)
MAX_NESTING = 8


def find_state_dict(content: dict[Any, Any], is_tensor: Callable[[Any], bool]) -> tuple[str, dict[str, Any]]:
    """The named tensors of what a checkpoint holds; optimiser states, schedules and counters are left alone.

    Where mappings lie in mappings (``{"teacher": {...}, "student": {...}}``), names are joined by dots.

    Args:
        content: plain containers and tensors, as read without running anything.
        is_tensor: whether a value is one.

    Returns:
        The key that the state dict was found under (empty: at the top), and its tensors by name; none where there is
        no state dict.
    """
    container, tensors = _main(content, is_tensor)
    for key in _SECOND:
        tensors |= {f"{key}/{name}": tensor for name, tensor in _named(content.get(key), is_tensor)}
    return container, tensors


def _main(content: dict[Any, Any], is_tensor: Callable[[Any], bool]) -> tuple[str, dict[str, Any]]:
    for keys in _MAIN:
        inner: Any = content
        for key in keys:
            inner = inner.get(key) if isinstance(inner, dict) else None
        tensors = dict(_named(inner, is_tensor))
        if tensors:
            return ".".join(keys), tensors
    top = {key: value for key, value in content.items() if key not in _SECOND}
    return "", dict(_named(top, is_tensor))


def _named(
    content: Any, is_tensor: Callable[[Any], bool], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict) or depth > MAX_NESTING:
        return
    for name, value in content.items():
        if is_tensor(value):
            yield f"{prefix}{name}", value
        else:
            yield from _named(value, is_tensor, f"{prefix}{name}.", depth + 1)
