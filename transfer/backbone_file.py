"""The backbone file: one ``.safetensors`` that carries weights *and* what is needed to use them rightly.

Weights are float32 (counters int64) under torchvision's names (a vision transformer's: timm's), without a classifier.
The header's metadata says the architecture, the preprocessing the weights were trained with, which branch of which
method they are, and where they come from. Nothing in it is executed on reading.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

import scenebench
from scenebench.errors import TransferError, UserError, require_choice
from scenebench.files import replacing
from transfer.networks.network import (
    AnyArchitecture,
    Backbone,
    build_network,
    parse_architecture,
    require_resnet,
)
from transfer.networks.resnet import ResNet
from transfer.untrusted.files import map_file
from transfer.untrusted.refusal import Refusal
from transfer.untrusted.safetensors_file import read_safetensors

FORMAT_VERSION = 1
_METADATA_KEY = "scenebench"


@dataclass(frozen=True)
class Preprocessing:
    """``(pixel * value_range / 255 - mean) / std`` for 8-bit pixels in ``channel_order``.

    The default is ImageNet's statistics on the 0-1 scale, RGB: what MoCo, DenseCL, BYOL and this suite train with.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    value_range: float = 1.0
    channel_order: str = "RGB"

    def __post_init__(self) -> None:
        require_choice("preprocessing.channel_order", self.channel_order, ["RGB", "BGR"])
        numbers = (*self.mean, *self.std, self.value_range)
        if not all(math.isfinite(number) for number in numbers) or min(*self.std, self.value_range) <= 0:
            raise UserError(
                f"preprocessing: mean {self.mean}, std {self.std}, value range {self.value_range}: "
                "all must be finite, std and value range positive"
            )

    def on_255_scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and standard deviation for pixels left on the 0-255 scale, as Detectron2 and mmengine want them."""
        scale = 255.0 / self.value_range
        return tuple(m * scale for m in self.mean), tuple(s * scale for s in self.std)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 or float RGB images on 0-255, N x 3 x H x W, to float32 network input of the same shape."""
        mean, std = self.on_255_scale()
        pixels = images.float()
        if self.channel_order == "BGR":
            pixels = pixels.flip(1)
        # Not waited for: this is part of every training step.
        shift = torch.tensor(mean).view(1, 3, 1, 1).to(pixels.device, non_blocking=True)
        scale = torch.tensor(std).view(1, 3, 1, 1).to(pixels.device, non_blocking=True)
        return (pixels - shift) / scale


@dataclass(frozen=True)
class BackboneInfo:
    """Everything a backbone file says about its weights.

    Attributes:
        branch: which copy of the network was kept: ``query`` / ``online``, ``key`` / ``target``, or ``only``.
        recipe: the resolved recipe as plain data; empty for imported weights.
        source_file, source_sha256: the file an import came from; empty for our own weights.
    """

    architecture: AnyArchitecture
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    method: str = "unknown"
    branch: str = "only"
    dataset: str = ""
    dataset_fingerprint: str = ""
    epochs: int = 0
    images_seen: int = 0
    seed: int = 0
    recipe_name: str = ""
    recipe: dict[str, Any] = field(default_factory=dict)
    source_file: str = ""
    source_sha256: str = ""
    code_version: str = scenebench.__version__
    format_version: int = FORMAT_VERSION


def save_backbone(path: Path | str, state_dict: dict[str, Tensor], info: BackboneInfo) -> None:
    """Write a backbone file by rename.

    Args:
        state_dict: exactly the tensors of ``build_network(info.architecture)``, any float dtype, any device.

    Raises:
        TransferError: a tensor is missing, unexpected, of another shape, or not finite.
        UserError: the file cannot be written.
    """
    check_tensors(state_dict, info.architecture, str(path))
    tensors = {name: _storable(tensor) for name, tensor in state_dict.items()}
    metadata = {_METADATA_KEY: json.dumps(dataclasses.asdict(info), sort_keys=True)}
    with replacing(path) as temporary:
        temporary.touch()  # with the user's umask; safetensors alone would make it unreadable to anybody else
        mode = temporary.stat().st_mode
        safetensors.torch.save_file(tensors, temporary, metadata=metadata)
        temporary.chmod(mode)


def read_info(path: Path | str) -> BackboneInfo:
    """Read only the header of a backbone file.

    Raises:
        UserError: missing, truncated, not safetensors, not written by this suite, or of a newer format.
    """
    return _read(Path(path), with_tensors=False)[0]


def is_backbone_file(path: Path | str) -> bool:
    """Whether :func:`read_info` can read it."""
    try:
        read_info(path)
    except UserError:
        return False
    return True


def load_backbone(path: Path | str) -> tuple[BackboneInfo, dict[str, Tensor]]:
    """Read a backbone file and check it against the architecture it claims.

    Raises:
        UserError: see :func:`read_info`.
        TransferError: the tensors are not those of the claimed architecture.
    """
    info, tensors = _read(Path(path), with_tensors=True)
    check_tensors(tensors, info.architecture, str(path))
    return info, tensors


def load_network(path: Path | str) -> tuple[BackboneInfo, Backbone]:
    """The network of a backbone file in eval mode, every tensor taken from the file."""
    info, tensors = load_backbone(path)
    network = build_network(info.architecture)
    network.load_state_dict(tensors, strict=True)
    return info, network.eval()


def load_resnet(path: Path | str, purpose: str) -> tuple[BackboneInfo, ResNet]:
    """:func:`load_network` for what takes ResNets only (``purpose``, for the error).

    Raises:
        UserError: the file holds a vision transformer.
    """
    require_resnet(read_info(path).architecture, purpose)
    info, network = load_network(path)
    assert isinstance(network, ResNet)
    return info, network


def check_tensors(state_dict: dict[str, Tensor], architecture: AnyArchitecture, where: str) -> None:
    """Compare names, shapes, kinds (weights are floating-point, counters integer) and finiteness with the architecture.

    Raises:
        TransferError: naming up to three tensors of each kind of difference.
    """
    expected = _expected_tensors(architecture)
    found = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    shapes = [
        f"{name} {found[name]} instead of {tuple(expected[name].shape)}"
        for name in sorted(expected.keys() & found.keys())
        if found[name] != tuple(expected[name].shape)
    ]
    kinds = [
        f"{name} {state_dict[name].dtype}"
        for name in sorted(expected.keys() & found.keys())
        if state_dict[name].is_floating_point() != expected[name].is_floating_point()
    ]
    problems = [
        f"{len(names)} {kind}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", extra),
            ("of another shape", shapes),
            ("of another kind of number", kinds),
        )
        if names
    ]
    if problems:
        raise TransferError(f"{where}: not the {len(expected)} tensors of a {architecture.name}: {'; '.join(problems)}")
    for name, tensor in state_dict.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise TransferError(f"{where}: tensor '{name}' holds values that are not finite")


@functools.lru_cache(maxsize=16)
def _expected_tensors(architecture: AnyArchitecture) -> dict[str, Tensor]:
    """The names, shapes and types of an architecture's tensors, without memory behind them."""
    with torch.device("meta"):
        return build_network(architecture).state_dict()


def _storable(tensor: Tensor) -> Tensor:
    stored = tensor.detach().cpu()
    return (stored.float() if stored.is_floating_point() else stored.long()).contiguous().clone()


def _read(path: Path, with_tensors: bool) -> tuple[BackboneInfo, dict[str, Tensor]]:
    if not path.exists() or path.is_dir():
        raise UserError(f"{path}: no such backbone file")
    try:
        tensors, metadata = read_safetensors(map_file(path, "not a readable safetensors file"), path, with_tensors)
    except Refusal as refusal:
        raise UserError(f"{path}: {refusal}{_remedy(path)}") from refusal
    if _METADATA_KEY not in metadata:
        raise UserError(f"{path}: safetensors, but not a backbone file of scenebench; use 'scenebench import' first")
    return _parse_info(path, metadata[_METADATA_KEY]), tensors


def _remedy(path: Path) -> str:
    """What to do about a file that is not safetensors; nothing where its name says that it should be."""
    if path.suffix == ".safetensors":
        return ""
    made = f"{path.name.split('.')[0] or 'backbone'}.safetensors"
    return (
        f"; of a checkpoint make a backbone file first: scenebench import {shlex.quote(str(path))} {shlex.quote(made)}"
    )


def _parse_info(path: Path, text: str) -> BackboneInfo:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: its metadata is not JSON ({error})") from error
    if not isinstance(content, dict) or content.get("format_version") != FORMAT_VERSION:
        version = content.get("format_version") if isinstance(content, dict) else None
        raise UserError(f"{path}: backbone file format {version}, this version reads format {FORMAT_VERSION}")
    content = dict(content)
    try:
        architecture = parse_architecture(dict(content.pop("architecture")), where=f"{path} (architecture)")
        preprocessing_content = dict(content.pop("preprocessing"))
        preprocessing = Preprocessing(
            mean=_triple(preprocessing_content["mean"]),
            std=_triple(preprocessing_content["std"]),
            value_range=float(preprocessing_content["value_range"]),
            channel_order=str(preprocessing_content["channel_order"]),
        )
        return BackboneInfo(architecture=architecture, preprocessing=preprocessing, **content)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: its metadata lacks or mistypes a field ({error})") from error


def _triple(values: Any) -> tuple[float, float, float]:
    first, second, third = (float(value) for value in values)
    return first, second, third
