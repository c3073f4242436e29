"""Where in a checkpoint the state dict is: training scripts wrap it in dictionaries of many shapes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

# Keys that say nothing of what lies below, the first found is *the* state dict and its tensors keep their names.
_NEUTRAL = (
    "state_dict",  # MoCo, SwAV, SimSiam, OpenMMLab, Lightning, timm
    "model",  # SoCo, SlotCon, Detectron2, Barlow Twins
    "blobs",  # Caffe2
    "model_state_dict",  # VISSL, after its own extraction
    "network",  # OBoW
    "module",  # DeepSpeed, SparK
    *("net", "params", "weights", "model_weights", "model_state", "state", "models", "checkpoint", "ckpt"),
)
_VISSL = ("classy_state_dict", "base_model", "model", "trunk")
KNOWN_KEYS = (*_NEUTRAL[:6], ".".join(_VISSL))
_AVERAGE = re.compile(r"(?:^|_)(?:ema|averaged?|avg|swa)(?:_|$)", re.IGNORECASE)
_NO_NETWORK = re.compile(
    r"optim|sched|scaler|hyper_param|(?:^|_)(?:amp|rng|callbacks|loops|hparams|args?|config|cfg|meta|meters|metrics|stats)"
    r"(?:_|$)|^message_hub$",
    re.IGNORECASE,
)
MAX_NESTING = 8


@dataclass(frozen=True)
class Found:
    """What a checkpoint holds.

    Attributes:
        container: the key that the state dict was found under, empty where it lies at the top.
        tensors: by name. Those of a further state dict bear its key, ``model_ema/conv1.weight``; where no key is *the*
            state dict, mappings in mappings (``{"teacher": {...}, "student": {...}}``) are joined by dots.
        average_swapped: the file is MMEngine's with an average, which exchanges the two: ``tensors`` holds them the
            usual way, the average under ``ema_state_dict/``.
    """

    container: str
    tensors: dict[str, Any]
    average_swapped: bool = False


def find_state_dict(content: dict[Any, Any], is_tensor: Callable[[Any], bool]) -> Found:
    """The named tensors of a checkpoint; optimiser states, schedules and counters are left alone.

    Args:
        content: plain containers and tensors, as read without running anything.
        is_tensor: whether a value is one.
    """
    tables = {
        key: tensors
        for key, value in content.items()
        if isinstance(key, str) and not is_tensor(value) and not _NO_NETWORK.search(key)
        for tensors in [dict(_named(value, is_tensor))]
        if tensors
    }
    loose = {key: value for key, value in content.items() if isinstance(key, str) and is_tensor(value)}
    averages = [key for key in tables if _AVERAGE.search(key)]
    vissl = dict(_named(_reached(content, _VISSL), is_tensor))
    if vissl:
        return Found(".".join(_VISSL), vissl)
    main = next((key for key in _NEUTRAL if key in tables), None)
    if main is not None:
        swapped = main == "state_dict" and "ema_state_dict" in tables and _is_of_mmengine(content)
        if swapped:
            tables[main], tables["ema_state_dict"] = tables["ema_state_dict"], tables[main]
        others = [key for key in tables if key != main and any(name.endswith("weight") for name in tables[key])]
        further = {f"{key}/{name}": value for key in others for name, value in tables[key].items()}
        return Found(main, tables[main] | further, swapped)
    if averages and not loose and len(tables) == 1:
        return Found(averages[0], tables[averages[0]])
    joined = {f"{key}.{name}": value for key in tables if key not in averages for name, value in tables[key].items()}
    further = {f"{key}/{name}": value for key in averages for name, value in tables[key].items()}
    return Found("", loose | joined | further)


def is_average(container: str) -> bool:
    """Whether the key of a further state dict says that it is a running average of the other."""
    return _AVERAGE.search(container) is not None


def _is_of_mmengine(content: dict[Any, Any]) -> bool:
    meta = content.get("meta")
    return "message_hub" in content or (isinstance(meta, dict) and "mmengine_version" in meta)


def _reached(content: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        content = content.get(key) if isinstance(content, dict) else None
    return content


def _named(
    content: Any, is_tensor: Callable[[Any], bool], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, Any]]:
    if not isinstance(content, dict) or depth > MAX_NESTING:
        return
    for name, value in content.items():
        if not isinstance(name, str):  # an optimiser's state by number
            continue
        if is_tensor(value):
            yield f"{prefix}{name}", value
        else:
            yield from _named(value, is_tensor, f"{prefix}{name}.", depth + 1)
