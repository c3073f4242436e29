"""Tensor names: the wrappers around a network, and other libraries' names for a torchvision ResNet's modules."""

from __future__ import annotations

import re

from torch import Tensor

from scenebench.errors import UserError

_DATA_PARALLEL, _COMPILED = "module.", "_orig_mod."
_SEQUENTIAL = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_BACKBONE = re.compile(r"(?:conv1|bn1|layer[1-4]\.\d+\.(?:conv\d|bn\d|downsample\.[01]))\.\w+")

STEMS = ("conv1.weight", "conv1.0.weight", "stem.0.weight")
"""First convolutions: the 7x7 one, and the deep stems of timm and of MMSegmentation (recognised in order to refuse)."""
LAST_STAGE = "layer4.0.conv1.weight"


def unwrapped(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors without the prefixes that wrappers add: ``module.`` at the front (DataParallel and
    DistributedDataParallel, once or nested) and ``_orig_mod.`` anywhere (``torch.compile``).

    A container's key before the name (``model_ema/``) stays.

    Raises:
        UserError: two tensors would then have one name.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        container, slash, inner = name.rpartition("/")
        inner = inner.replace(_COMPILED, "")
        while inner.startswith(_DATA_PARALLEL):
            inner = inner.removeprefix(_DATA_PARALLEL)
        short = f"{container}{slash}{inner}"
        if short in plain:
            raise UserError(f"{where}: '{short}' is in it with and without a wrapper's prefix; keep one of the two")
        plain[short] = tensor
    return plain


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with ``prefix``, without it; with an empty prefix, those of no second container."""
    if not prefix:
        return {name: tensor for name, tensor in tensors.items() if "/" not in name}
    return {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def without_classifier(name: str) -> str | None:
    """torchvision's names as they are; ``fc``, be it a classifier or a projection head, is left out."""
    return None if name.startswith("fc.") else name


def of_sequential(name: str) -> str | None:
    """torchvision's name from that in ``Sequential(*resnet.children())``, where modules are numbered; a module that
    bears its own name keeps it."""
    head, dot, rest = name.partition(".")
    return without_classifier(f"{_SEQUENTIAL.get(head, head)}{dot}{rest}")


def is_backbone_name(name: str) -> bool:
    """Whether a torchvision ResNet has, or could have at another depth, a tensor of this name."""
    return _BACKBONE.fullmatch(name) is not None


def looks_like_resnet(tensors: dict[str, Tensor]) -> bool:
    """By names and shapes: a first convolution of images, and a last stage of convolutions."""
    stem = next((tensors[name] for name in STEMS if name in tensors), None)
    last = tensors.get(LAST_STAGE)
    return stem is not None and last is not None and stem.dim() == 4 and last.dim() == 4
