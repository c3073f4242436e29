"""The ResNets of the suite: torchvision's own class and parameter names, at any stem width.

Width 64 *is* torchvision's ResNet. A narrow (16, 32) or wide (128, the "50x2" of SimCLR and BYOL) network has the same
modules and names with every channel count scaled.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.models.resnet import ResNet as TorchvisionResNet

from scenebench.errors import UserError, require_choice

BLOCKS_BY_DEPTH: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
STAGES = ("stem", "layer1", "layer2", "layer3", "layer4")


@dataclass(frozen=True)
class Architecture:
    """What must be known to build the network that a set of weights belongs to.

    Attributes:
        family: ``resnet``.
        depth: 18, 34, 50, 101 or 152.
        stem_width: channels after the stem; 64 is the standard network, 16 the narrow one of the demo.
        stem: ``conv7x7`` (one 7x7 convolution) or ``deep`` (three 3x3, the "V1c" of MMSegmentation).
        stride_in: the convolution of a bottleneck that carries the stride: ``3x3`` (torchvision, "pytorch" style) or
            ``1x1`` (the original MSRA weights, "caffe" style). Basic blocks always have it in their first 3x3.
    """

    family: str = "resnet"
    depth: int = 50
    stem_width: int = 64
    stem: str = "conv7x7"
    stride_in: str = "3x3"

    def __post_init__(self) -> None:
        require_choice("architecture.family", self.family, ["resnet"])
        require_choice("architecture.stem", self.stem, ["conv7x7", "deep"])
        require_choice("architecture.stride_in", self.stride_in, ["3x3", "1x1"])
        if self.depth not in BLOCKS_BY_DEPTH:
            raise UserError(f"architecture.depth: {self.depth} is not one of {sorted(BLOCKS_BY_DEPTH)}")
        if self.stem_width < 1:
            raise UserError(f"architecture.stem_width: {self.stem_width} is not a positive number of channels")

    @property
    def name(self) -> str:
        """``resnet50``, or ``resnet18w16`` where the stem width is not 64."""
        return f"{self.family}{self.depth}" + ("" if self.stem_width == 64 else f"w{self.stem_width}")

    @property
    def stage_channels(self) -> tuple[int, int, int, int]:
        """Channels of layer1 to layer4."""
        expansion = BLOCKS_BY_DEPTH[self.depth][0].expansion
        first, second, third, fourth = (self.stem_width * expansion * 2**stage for stage in range(4))
        return first, second, third, fourth

    @property
    def feature_dim(self) -> int:
        """Channels of the pooled feature: layer4's."""
        return self.stage_channels[-1]

    @property
    def stride(self) -> int:
        """Pixels of the image to a cell of the feature map, along a side."""
        return 32

    @property
    def stages(self) -> tuple[str, ...]:
        """:data:`STAGES`."""
        return STAGES

    def stage_of(self, tensor: str) -> str:
        """The stage (:data:`STAGES`) of a tensor under torchvision's name."""
        return stage_of(tensor)


class ResNet(TorchvisionResNet):
    """torchvision's ResNet without the classifier, with the feature map of every stage at hand."""

    def __init__(self, architecture: Architecture) -> None:
        block, blocks = BLOCKS_BY_DEPTH[architecture.depth]
        super().__init__(block, list(blocks))
        self.architecture = architecture
        width = architecture.stem_width
        if width != 64:
            self.inplanes = width
            self.conv1 = nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.layer1 = self._make_layer(block, width, blocks[0])
            self.layer2 = self._make_layer(block, width * 2, blocks[1], stride=2)
            self.layer3 = self._make_layer(block, width * 4, blocks[2], stride=2)
            self.layer4 = self._make_layer(block, width * 8, blocks[3], stride=2)
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if architecture.stride_in == "1x1":
            for module in self.modules():
                if isinstance(module, Bottleneck):
                    module.conv1.stride, module.conv2.stride = module.conv2.stride, module.conv1.stride
        self.fc = nn.Identity()  # type: ignore[assignment]

    def stage_features(self, images: Tensor) -> dict[str, Tensor]:
        """Feature maps by stage name (:data:`STAGES`).

        Args:
            images: normalised images, N x 3 x H x W.

        Returns:
            ``stem`` (after the max-pool, stride 4) and ``layer1`` .. ``layer4`` (strides 4, 8, 16, 32), all post-ReLU.
        """
        features = {"stem": self.maxpool(self.relu(self.bn1(self.conv1(images))))}
        x = features["stem"]
        for stage in STAGES[1:]:
            x = features[stage] = getattr(self, stage)(x)
        return features

    def feature_map(self, images: Tensor) -> Tensor:
        """The last stage's post-ReLU map, N x C x H/32 x W/32."""
        return self.stage_features(images)["layer4"]

    def forward(self, images: Tensor) -> Tensor:
        """Globally average-pooled features, N x C."""
        return torch.flatten(self.avgpool(self.feature_map(images)), 1)


def stage_of(tensor: str) -> str:
    """The stage (:data:`STAGES`) of a tensor under torchvision's name."""
    head = tensor.split(".", 1)[0]
    return head if head in STAGES else "stem"


def build_resnet(architecture: Architecture) -> ResNet:
    """A freshly initialised network (from torch's global generator).

    Raises:
        UserError: a deep stem, which no pretraining method here uses and torchvision cannot hold.
    """
    if architecture.stem != "conv7x7":
        raise UserError("a deep-stem (V1c) ResNet has no torchvision counterpart; export weights with a 7x7 stem")
    return ResNet(architecture)
