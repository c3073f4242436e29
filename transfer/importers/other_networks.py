"""What a network is that cannot be imported: its mark among the tensors' names, and its name for the error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from torch import Tensor

_MARKS: tuple[tuple[str, str], ...] = (  # found anywhere in a name; the first that is found is told
    (
        r"(?:^|\.)(?:_flat_param|flat_param_\d*)$",
        "FSDP's flat parameters, whose names are lost; save a full state dict",
    ),
    (r"(?:^|\.)(?:attnpool|attn_pool)\.", "a ResNet with an attention pool (CLIP's)"),
    (r"relative_position_bias_table", "a Swin transformer"),
    (
        r"(?:^|\.)(?:patch_embed|patch_embeddings|cls_token|class_token|pos_embed|position_embeddings)(?:\.|$)",
        "a vision transformer",
    ),
    (r"(?:^|\.)(?:attn\.qkv|attention\.attention\.query|attn\.in_proj_weight)", "a vision transformer"),
    (
        r"(?:^|\.)(?:dwconv|depthwise_conv|conv_dw|pwconv1)\.",
        "a network of depthwise convolutions (ConvNeXt, MobileNet)",
    ),
    (r"(?:^|\.)(?:trunk_output|s1\.b1\.|stem\.conv\.weight$|block1\.block1-0)", "a RegNet, EfficientNet or ResNetV2"),
    (r"(?:^|\.)denseblock1\.", "a DenseNet"),
    (
        r"(?:^|\.)features\.\d+\.(?:\d+\.)?(?:conv|block)\.",
        "a network of depthwise convolutions (MobileNet, EfficientNet, ConvNeXt)",
    ),
    (r"(?:^|\.)features\.\d+\.weight$", "a VGG, AlexNet or another plain chain of layers"),
    (r"\.paths\.\d+\.|\.attn\.fc_reduce\.", "a network with selective kernels (SKNet)"),
    (r"(?:^|\.)net\.\d+\.blocks\.\d+\.net\.", "a SimCLRv2 ResNet (with a deep stem or selective kernels)"),
)
_OF_BLOCKS: tuple[tuple[str, str], ...] = (  # inside a ResNet that was found
    (r"\.conv\d\.conv_offset", "deformable convolutions"),
    (r"\.conv2\.(?:conv|fc1|bn1|radix)\b", "split attention (ResNeSt)"),
    (r"\.(?:bns|convs)\.\d+\.", "several convolutions a layer (Res2Net)"),
    (r"\.(?:se|se_module|se_layer)\.|\.(?:fc1|fc2)\.weight$", "squeeze-and-excitation modules"),
    (r"\.(?:gn|norm)\d\.|\.norm\.weight$|^gn1\.", "GroupNorm or LayerNorm instead of batch norm"),
    (r"^(?:conv2|bn2|conv3)\.", "a deep stem of several convolutions"),
    (r"^(?:attnpool|attn_pool)\.", "an attention pool (CLIP's)"),
    (r"\.shortcut\.\d\.", "shortcuts named as in networks for CIFAR, whose first convolution is 3x3"),
    (r"\.downsample\.2\.", "shortcuts with an average pool before their convolution (ResNet-D)"),
    (r"\.(?:ibn|IN)\.", "instance norms (IBN-Net)"),
    (r"\.(?:aa|antialias|blur)\b", "blurred downsampling"),
)


def named(names: Iterable[str]) -> str:
    """What a file without a ResNet holds instead, as far as a mark tells; empty where none does."""
    names = list(names)
    for mark, what in _MARKS:
        name = next((name for name in names if re.search(mark, name)), None)
        if name is not None:
            return f"{what} ({name})"
    return ""


def difference(tensors: dict[str, Tensor]) -> str:
    """In what a network, under torchvision's names, is no plain ResNet with batch norm; empty where it is one."""
    for mark, what in _OF_BLOCKS:
        name = next((name for name in tensors if re.search(mark, name)), None)
        if name is not None:
            return f"{what} ({name})"
    return next((told for rule in _BY_SHAPE if (told := rule(tensors))), "")


def _deep_stem(tensors: dict[str, Tensor]) -> str:
    deep = any(name.startswith(("conv1.0.", "stem.")) for name in tensors)
    return "a deep (V1c) stem of several convolutions" if deep else ""


def _small_stem(tensors: dict[str, Tensor]) -> str:
    first = tensors.get("conv1.weight")
    small = first is not None and first.dim() == 4 and tuple(first.shape[2:]) == (3, 3)
    return (
        f"a 3x3 first convolution, as for CIFAR (conv1.weight {tuple(first.shape)})"
        if first is not None and small
        else ""
    )


def _pooled_shortcut(tensors: dict[str, Tensor]) -> str:
    convolution = tensors.get("layer2.0.downsample.1.weight")
    pooled = convolution is not None and convolution.dim() == 4
    return "shortcuts with an average pool before their convolution (ResNet-D)" if pooled else ""


def _no_statistics(tensors: dict[str, Tensor]) -> str:
    norms = [name for name in tensors if re.search(r"(?:^|\.)bn\d\.(?:weight|bias)$", name)]
    statistics = any(name.endswith(".running_mean") for name in tensors)
    if norms and not statistics:
        return "norms without running statistics, hence GroupNorm, or batch norms that were folded or stripped"
    return ""


_BY_SHAPE: tuple[Callable[[dict[str, Tensor]], str], ...] = (_deep_stem, _small_stem, _pooled_shortcut, _no_statistics)
