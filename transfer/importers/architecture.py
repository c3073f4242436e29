"""Which ResNet a set of tensors is, read off their names and shapes; what is none is refused by its name."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from scenebench.errors import UserError
from transfer.importers.other_networks import difference
from transfer.networks.resnet import BLOCKS_BY_DEPTH, Architecture


def infer_architecture(tensors: dict[str, Tensor], where: str, stride_in: str = "3x3") -> Architecture:
    """Depth, from the number and kind of blocks, and stem width, from the first convolution.

    Raises:
        UserError: not a ResNet-18, -34, -50, -101 or -152 with a 7x7 stem under torchvision's names. What it is instead
            (:mod:`transfer.importers.other_networks`, ResNeXt, ``wide_resnet50_2``) is named.
    """
    other = difference(tensors)
    if other:
        raise UserError(f"{where}: its network has {other}; only plain ResNets with a 7x7 stem can be imported")
    first = tensors.get("conv1.weight")
    if first is None or first.dim() != 4 or tuple(first.shape[1:]) != (3, 7, 7):
        shape = "missing" if first is None else f"of shape {tuple(first.shape)}"
        raise UserError(f"{where}: conv1.weight is {shape}; expected a 7x7 convolution of three channels")
    blocks = tuple(
        len({name.split(".")[1] for name in tensors if name.startswith(f"layer{stage}.")}) for stage in range(1, 5)
    )
    bottlenecks = "layer1.0.conv3.weight" in tensors
    if bottlenecks:
        _refuse_other_bottlenecks(tensors, first.shape[0], where)
    for depth, (block, known_blocks) in BLOCKS_BY_DEPTH.items():
        if known_blocks == blocks and (block.expansion > 1) == bottlenecks:
            return dataclasses.replace(Architecture(), depth=depth, stem_width=first.shape[0], stride_in=stride_in)
    kind = "bottleneck" if bottlenecks else "basic"
    raise UserError(f"{where}: {blocks} {kind} blocks in layer1 to layer4 are no ResNet-18, -34, -50, -101 or -152")


def _refuse_other_bottlenecks(tensors: dict[str, Tensor], stem_width: int, where: str) -> None:
    middle, last = tensors.get("layer1.0.conv2.weight"), tensors["layer1.0.conv3.weight"]
    if middle is None or middle.dim() != 4 or last.dim() != 4:
        return  # told as a missing or misshapen tensor when the tensors are compared with the architecture
    out_channels, in_channels = middle.shape[0], middle.shape[1]
    if in_channels != out_channels:
        raise UserError(
            f"{where}: its 3x3 convolutions have {out_channels // max(in_channels, 1)} groups (ResNeXt); only plain "
            "ResNets can be imported"
        )
    if out_channels != stem_width and last.shape[0] == 4 * stem_width:
        raise UserError(
            f"{where}: only its bottlenecks are {out_channels / stem_width:g} times as wide (wide_resnet50_2 and its "
            "like); of wide ResNets only those with every channel count scaled can be imported (the 50x2 of SimCLR, "
            "BYOL and SwAV, whose conv1 has 128 channels)"
        )
