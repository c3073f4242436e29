"""What people would otherwise use for MoCo-v2: torchvision's per-image PIL pipeline, and ``lightly``.

lightly's parts are put together as its documentation's MoCo example does: its transform, torch's loader, its projection
head, loss with memory bank, and momentum updates, with SGD. It is a development dependency; without it there is no such
row.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torchvision
import torchvision.transforms as transforms
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import Dataset

from pretrain.data.augment import default_blur_kernel
from transfer.backbone_file import Preprocessing
from transfer.networks.resnet import Architecture, build_resnet

QUEUE = 65536
DIMENSION = 128


def lightly_is_here() -> bool:
    """Whether lightly can be imported."""
    return find_spec("lightly") is not None


def torchvision_views(crop_size: int) -> Callable[[Image.Image], list[Tensor]]:
    """MoCo-v2's augmentation as its released code composes it from torchvision, on PIL images, twice."""
    statistics = Preprocessing()
    transform = transforms.Compose(
        [
            transforms.RandomResizedCrop(crop_size, scale=(0.2, 1.0)),
            transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
            transforms.RandomGrayscale(p=0.2),
            transforms.RandomApply([transforms.GaussianBlur(default_blur_kernel(crop_size), (0.1, 2.0))], p=0.5),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(statistics.mean, statistics.std),
        ]
    )
    return lambda image: [transform(image), transform(image)]


def lightly_views(crop_size: int) -> Callable[[Image.Image], list[Tensor]]:
    """lightly's MoCo-v2 transform with its defaults."""
    from lightly.transforms import MoCoV2Transform

    views: Callable[[Image.Image], list[Tensor]] = MoCoV2Transform(input_size=crop_size)  # type: ignore[assignment]
    return views


class PilPairs(Dataset[list[Tensor]]):
    """Two views of each file, decoded by Pillow: the data set of either peer. Item i is file ``i % files``."""

    def __init__(self, files: Sequence[Path], views: Callable[[Image.Image], list[Tensor]], length: int) -> None:
        self.files = files
        self.views = views
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> list[Tensor]:
        if index >= self.length:
            raise IndexError(index)
        with Image.open(self.files[index % len(self.files)]) as image:
            return self.views(image.convert("RGB"))


class LightlyStep:
    """One step of lightly's MoCo example on a pair of views.

    Args:
        architecture: of the backbone; torchvision's network in both contenders.
        compute: device, autocast to bfloat16 or not, channels-last or not: as ours in the same comparison.
    """

    def __init__(self, architecture: Architecture, device: torch.device, bf16: bool, channels_last: bool) -> None:
        from lightly.loss import NTXentLoss
        from lightly.models.modules import MoCoProjectionHead
        from lightly.models.utils import deactivate_requires_grad

        network = build_resnet(architecture)
        width = architecture.feature_dim
        self.backbone: nn.Module = network
        self.head = MoCoProjectionHead(width, width, DIMENSION)
        self.momentum_backbone = copy.deepcopy(self.backbone)
        self.momentum_head = copy.deepcopy(self.head)
        deactivate_requires_grad(self.momentum_backbone)
        deactivate_requires_grad(self.momentum_head)
        self.criterion = NTXentLoss(temperature=0.2, memory_bank_size=(QUEUE, DIMENSION))
        self.format = torch.channels_last if channels_last else torch.contiguous_format
        for part in (self.backbone, self.head, self.momentum_backbone, self.momentum_head, self.criterion):
            part.to(device)
        for part in (self.backbone, self.momentum_backbone):
            part.to(memory_format=self.format)  # type: ignore[call-overload]
        self.device, self.bf16 = device, bf16
        parameters = [*self.backbone.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.SGD(parameters, lr=0.06)

    def __call__(self, views: Sequence[Tensor]) -> Tensor:
        """One step; the loss."""
        from lightly.models.utils import update_momentum

        query, key = (view.to(self.device, memory_format=self.format, non_blocking=True) for view in views)
        update_momentum(self.backbone, self.momentum_backbone, m=0.999)
        update_momentum(self.head, self.momentum_head, m=0.999)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            query = self.head(self.backbone(query).flatten(start_dim=1))
            with torch.no_grad():
                key = self.momentum_head(self.momentum_backbone(key).flatten(start_dim=1))
            loss: Tensor = self.criterion(query, key)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.optimiser.zero_grad()
        return loss


def versions() -> dict[str, str]:
    """Of the peers that take part."""
    found: dict[str, Any] = {"torchvision": torchvision.__version__}
    if lightly_is_here():
        from importlib.metadata import version

        found["lightly"] = version("lightly")
    return found
