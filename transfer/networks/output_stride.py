"""Dilated ("atrous") ResNets: the same weights at output stride 16 or 8, as segmentation uses them."""

from __future__ import annotations

from torch import nn
from torchvision.models.resnet import Bottleneck

from scenebench.errors import require_choice
from transfer.networks.network import require_resnet
from transfer.networks.resnet import ResNet

OUTPUT_STRIDES = (8, 16, 32)


def strides_and_dilations(output_stride: int) -> tuple[tuple[int, int, int, int], tuple[int, int, int, int]]:
    """Stride and dilation of layer1 to layer4 at an output stride of 32, 16 or 8 pixels.

    A stride that is taken away is given back as dilation to everything after it.
    """
    require_choice("output_stride", str(output_stride), [str(stride) for stride in OUTPUT_STRIDES])
    return {
        32: ((1, 2, 2, 2), (1, 1, 1, 1)),
        16: ((1, 2, 2, 1), (1, 1, 1, 2)),
        8: ((1, 2, 1, 1), (1, 1, 2, 4)),
    }[output_stride]


def set_output_stride(network: ResNet, output_stride: int) -> ResNet:
    """Change a freshly loaded network, in place, to the given output stride; returns it.

    Bottlenecks become what torchvision's ``replace_stride_with_dilation`` builds: in a dilated stage the first block
    keeps the dilation of the stage before it. torchvision refuses to dilate basic blocks; there the convention is
    MMSegmentation's, which dilates the first convolution of each block and leaves the second alone.

    Raises:
        UserError: an unknown output stride, or a network that is no ResNet.
    """
    require_resnet(network.architecture, "output_stride")
    strides, dilations = strides_and_dilations(output_stride)
    for number, (stride, dilation) in enumerate(zip(strides, dilations, strict=True), start=1):
        if dilation == 1:
            continue
        for index, block in enumerate(getattr(network, f"layer{number}")):
            if index == 0:
                for module in block.modules():
                    if isinstance(module, nn.Conv2d):
                        module.stride = (stride, stride)
            reach = dilation // 2 if index == 0 else dilation
            spatial = block.conv2 if isinstance(block, Bottleneck) else block.conv1
            spatial.dilation = spatial.padding = (reach, reach)
    return network
