"""Tensors of a ResNet by torchvision's names and by Detectron2's."""

from __future__ import annotations

import re

from scenebench.errors import TransferError

STAGE_NAMES = {"layer1": "res2", "layer2": "res3", "layer3": "res4", "layer4": "res5"}
"""Stages of torchvision's ResNet, as Detectron2 calls them."""
_TORCHVISION_STAGES = {theirs: ours for ours, theirs in STAGE_NAMES.items()}
_OURS = re.compile(
    r"(?:(?P<stage>layer[1-4])\.(?P<block>\d+)\.)?(?P<kind>conv|bn|downsample\.)(?P<n>\d)\.(?P<leaf>\w+)"
)
_THEIRS = re.compile(
    r"(?:stem|(?P<stage>res[2-5])\.(?P<block>\d+))\.(?:conv(?P<n>\d)|shortcut)(?P<norm>\.norm)?\.(?P<leaf>\w+)"
)


def detectron2_name(name: str) -> str:
    """torchvision's tensor name to Detectron2's, relative to its ResNet.

    ``layer1.0.bn2.bias`` becomes ``res2.0.conv2.norm.bias``.

    Raises:
        TransferError: not a tensor of a torchvision ResNet backbone.
    """
    match = _OURS.fullmatch(name)
    if match is None or (match["stage"] is None and match["n"] != "1"):
        raise TransferError(f"'{name}' is not a tensor of a torchvision ResNet backbone")
    place = f"{STAGE_NAMES[match['stage']]}.{match['block']}" if match["stage"] else "stem"
    if match["kind"] == "downsample.":
        layer, is_norm = "shortcut", match["n"] == "1"
    else:
        layer, is_norm = f"conv{match['n']}", match["kind"] == "bn"
    return f"{place}.{layer}{'.norm' if is_norm else ''}.{match['leaf']}"


def torchvision_name(name: str) -> str:
    """The inverse of :func:`detectron2_name`.

    Raises:
        TransferError: the tensor has no counterpart in a torchvision ResNet (a deep stem, a deformable offset, ...).
    """
    match = _THEIRS.fullmatch(name)
    if match is None or (match["stage"] is None and match["n"] != "1"):
        raise TransferError(f"Detectron2's '{name}' has no counterpart in a torchvision ResNet backbone")
    place = f"{_TORCHVISION_STAGES[match['stage']]}.{match['block']}." if match["stage"] else ""
    if match["n"] is None:
        layer = "downsample.1" if match["norm"] else "downsample.0"
    else:
        layer = f"{'bn' if match['norm'] else 'conv'}{match['n']}"
    return f"{place}{layer}.{match['leaf']}"
