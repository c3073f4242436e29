"""What synthetic checkpoints are made of: prefixes, heads and leftovers of small shape, and how a file is saved."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from transfer.backbone_file import Preprocessing

State = dict[str, Tensor]
IMAGENET = Preprocessing((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 1.0, "RGB")
SCALED_ONLY = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0, "RGB")
SWAV = Preprocessing((0.485, 0.456, 0.406), (0.228, 0.224, 0.225), 1.0, "RGB")
MSRA = Preprocessing((103.53, 116.28, 123.675), (1.0, 1.0, 1.0), 255.0, "BGR")

OPTIMISER: dict[str, Any] = {
    "state": {0: {"momentum_buffer": torch.zeros(3)}},
    "param_groups": [{"lr": 0.03, "params": [0]}],
}


@dataclass(frozen=True)
class Layout:
    """One way in which a family saves.

    Attributes:
        build: the file's content from two backbones, the one to take by default and the other.
        branch, other_branch: what they are called; the latter None where the file has one network only.
        told: ``--from``, where the names alone do not tell.
        without_counters: ``num_batches_tracked`` is not in such files.
        method: what the import records.
    """

    name: str
    family: str
    build: Callable[[State, State], dict[str, Any]]
    branch: str
    preprocessing: Preprocessing
    method: str = "unknown"
    other_branch: str | None = None
    told: str | None = None
    suffix: str = ".pth"
    stride_in: str = "3x3"
    without_counters: bool = False


def under(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


def mlp(prefix: str, norm: bool = False) -> State:
    """A projector or predictor: two linear layers, maybe with a norm between them."""
    state = {f"{prefix}0.weight": torch.zeros(8, 8), f"{prefix}0.bias": torch.zeros(8)}
    if norm:
        state |= {f"{prefix}1.running_mean": torch.zeros(8), f"{prefix}1.weight": torch.ones(8)}
    return state | {f"{prefix}{3 if norm else 2}.weight": torch.zeros(4, 8)}


def classifier(prefix: str = "fc.") -> State:
    return {f"{prefix}weight": torch.zeros(10, 8), f"{prefix}bias": torch.zeros(10)}


def queue(prefix: str = "", number: str = "") -> State:
    return {f"{prefix}queue{number}": torch.zeros(8, 16), f"{prefix}queue{number}_ptr": torch.zeros(1).long()}


def halved(state: State) -> State:
    return {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


def numbered(state: State) -> State:
    """The names in ``Sequential(*resnet.children())``."""
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    return {f"{numbers[name.split('.')[0]]}.{name.partition('.')[2]}": tensor for name, tensor in state.items()}


def training(state: State, key: str = "state_dict", **more: Any) -> dict[str, Any]:
    """What a training script saves around the state dict."""
    return {"epoch": 200, "arch": "resnet", key: state, "optimizer": OPTIMISER, **more}


def caffe2_name(name: str) -> str:
    """Detectron 1's name of a torchvision tensor: ``layer1.0.bn2.weight`` is ``res2_0_branch2b_bn_gamma``."""
    *place, layer, leaf = name.replace("downsample.0", "conv0").replace("downsample.1", "bn0").split(".")
    norm = layer.startswith("bn")
    leaves = {"weight": "gamma", "bias": "beta"} if norm else {"weight": "w"}
    leaf = leaves.get(leaf, leaf)
    if not place:
        return f"res_conv1_bn_{leaf}" if norm else f"conv1_{leaf}"
    branch = {"0": "1", "1": "2a", "2": "2b", "3": "2c"}[layer[-1]]
    return f"res{int(place[0][-1]) + 1}_{place[1]}_branch{branch}{'_bn' if norm else ''}_{leaf}"


def write(layout: Layout, first: State, second: State, folder: Path) -> Path:
    """The checkpoint file of a layout."""
    return save(layout.build(first, second), folder / f"{layout.name}{layout.suffix}")


def save(content: dict[str, Any], path: Path) -> Path:
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=4))
    else:
        torch.save(content, path)
    return path
