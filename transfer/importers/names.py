"""Tensor names: the wrappers around a network, and other libraries' names for a torchvision ResNet's modules."""

from __future__ import annotations

import re

from torch import Tensor

from scenebench.errors import UserError

_WRAPPERS = ("module", "_orig_mod", "_fsdp_wrapped_module", "_fpw_module", "_checkpoint_wrapped_module")
"""DataParallel and DistributedDataParallel, torch.compile, FSDP (now and formerly), activation checkpointing."""
_SEQUENTIAL = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_BACKBONE = re.compile(r"(?:conv1|bn1|layer[1-4]\.\d+\.(?:conv\d|bn\d|downsample\.[01]))\.\w+")
_HUGGINGFACE = re.compile(
    r"encoder\.stages\.(?P<stage>[0-3])\.layers\.(?P<block>\d+)\."
    r"(?:layer\.(?P<layer>[0-2])|(?P<shortcut>shortcut))\.(?P<kind>convolution|normalization)\.(?P<leaf>\w+)"
)

STEMS = ("conv1.weight", "conv1.0.weight", "stem.0.weight")
"""First convolutions: the 7x7 one, and the deep stems of timm and of MMSegmentation (recognised in order to refuse)."""
LAST_STAGE = "layer4.0.conv1.weight"


def unwrapped_name(name: str) -> str:
    """A name without the modules that wrappers add, wherever they stand; a container's key before it stays.

    The second of two equal names that wrappers left in a row (``module.module.``) goes as well as the first.
    """
    container, slash, inner = name.rpartition("/")
    kept = [part for part in inner.split(".") if part not in _WRAPPERS]
    return f"{container}{slash}{'.'.join(kept)}"


def unwrapped(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors without wrappers (:func:`unwrapped_name`); the last stage of a C4 detector, which OpenMMLab keeps in
    ``roi_head.shared_head``, is put where the rest of its network is.

    Raises:
        UserError: two tensors would then have one name.
    """
    plain: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        short = unwrapped_name(name)
        if short in plain:
            raise UserError(f"{where}: '{short}' is in it with and without a wrapper's prefix; keep one of the two")
        plain[short] = tensor
    for head, backbone in (("roi_head.shared_head.", "backbone."), ("roi_head_k.shared_head.", "backbone_k.")):
        if not any(name.startswith(f"{backbone}layer4.") for name in plain):
            plain = {
                f"{backbone}{name.removeprefix(head)}" if name.startswith(f"{head}layer4.") else name: tensor
                for name, tensor in plain.items()
            }
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


def of_huggingface(name: str) -> str | None:
    """torchvision's name from that in Hugging Face's ``ResNetModel``; None for its classifier."""
    stem = name.removeprefix("embedder.embedder.")
    if stem != name:
        kind, _, leaf = stem.partition(".")
        return f"{'conv1' if kind == 'convolution' else 'bn1'}.{leaf}"
    match = _HUGGINGFACE.fullmatch(name)
    if match is None:
        return None if name.startswith(("classifier.", "pooler.")) else name
    place = f"layer{int(match['stage']) + 1}.{match['block']}"
    convolution = match["kind"] == "convolution"
    if match["shortcut"]:
        return f"{place}.downsample.{0 if convolution else 1}.{match['leaf']}"
    return f"{place}.{'conv' if convolution else 'bn'}{int(match['layer']) + 1}.{match['leaf']}"


def of_feature_blocks(name: str) -> str | None:
    """torchvision's name from OBoW's, whose five blocks are numbered and whose stem is ``0.Conv`` and ``0.bn``."""
    number, _, rest = name.partition(".")
    if number == "0":
        layer, _, leaf = rest.partition(".")
        return {"Conv": "conv1.", "bn": "bn1."}.get(layer, f"{number}.{layer}.") + leaf
    return f"layer{number}.{rest}" if number in ("1", "2", "3", "4") else name


def is_backbone_name(name: str) -> bool:
    """Whether a torchvision ResNet has, or could have at another depth, a tensor of this name."""
    return _BACKBONE.fullmatch(name) is not None


def looks_like_resnet(tensors: dict[str, Tensor]) -> bool:
    """By names and shapes: a first convolution of images, and a last stage of convolutions."""
    stem = next((tensors[name] for name in STEMS if name in tensors), None)
    last = tensors.get(LAST_STAGE)
    return stem is not None and last is not None and stem.dim() == 4 and last.dim() == 4
