"""A backbone with linear heads: one to fine-tune with, or several at once on a backbone that stays as it is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from benchmarks.protocols.classification import TrainSettings
from scenebench.errors import UserError
from transfer.networks.network import Backbone
from transfer.networks.resnet import ResNet

_INITIAL_STD = 0.01


class GridCell(NamedTuple):
    """What distinguishes the cells of a grid; ``stage`` is where the head reads."""

    stage: str
    learning_rate: float
    head_lr_factor: float

    @property
    def label(self) -> str:
        """For notes and progress."""
        return f"{self.stage}, learning rate {self.learning_rate:g}, head times {self.head_lr_factor:g}"


class Classifier(nn.Module):
    """Logits of each head.

    Heads start from N(0, 0.01) and zero bias, equal for all cells of the grid, from ``seed``.
    """

    def __init__(
        self, backbone: Backbone, cells: list[GridCell], classes: int, settings: TrainSettings, seed: int, size: int
    ) -> None:
        super().__init__()
        self.backbone, self.cells, self.settings = backbone, cells, settings
        stages = list(dict.fromkeys(cell.stage for cell in cells))
        if stages != ["layer4"] and not isinstance(backbone, ResNet):
            raise UserError(
                f"settings.train.stages: a {backbone.architecture.name} has no stages; leave it at [layer4]"
            )
        with torch.no_grad():
            backbone.eval()
            shapes = _stage_maps(backbone, torch.zeros(1, 3, size, size), stages)
        self.pools = {stage: _cells_of(stage, shapes, settings.cells) for stage in stages}
        widths = {stage: shapes[stage].shape[1] * self.pools[stage] ** 2 for stage in stages}
        self.norms = nn.ModuleDict(
            {stage: nn.BatchNorm1d(widths[stage], affine=False) for stage in stages if settings.cells > 1}
        )
        self.heads = nn.ModuleList(_head(widths[cell.stage], classes, seed) for cell in cells)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits by cell, each N x classes."""
        stages = list(self.pools)
        if self.settings.frozen:
            with torch.no_grad():
                maps = _stage_maps(self.backbone, images, stages)
        else:
            maps = _stage_maps(self.backbone, images, stages)
        features = {}
        for stage in stages:
            pooled = nn.functional.adaptive_avg_pool2d(maps[stage], self.pools[stage]).flatten(1)
            features[stage] = self.norms[stage](pooled) if stage in self.norms else pooled
        return [head(features[cell.stage]) for cell, head in zip(self.cells, self.heads, strict=True)]

    def train(self, mode: bool = True) -> Classifier:
        """Training mode; a frozen backbone, or frozen norms, keep their running statistics."""
        super().train(mode)
        if self.settings.frozen:
            self.backbone.eval()
        elif self.settings.frozen_norms:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def build_optimiser(classifier: Classifier) -> torch.optim.SGD:
    """SGD; each group keeps its own rate as ``base_lr``. Norms may decay on their own; biases as weights do."""
    settings = classifier.settings
    groups: list[dict[str, object]] = []
    if not settings.frozen:
        norms = {id(p) for m in classifier.backbone.modules() if _is_norm(m) for p in m.parameters(recurse=False)}
        norm_decay = settings.weight_decay if settings.norm_weight_decay is None else settings.norm_weight_decay
        for taken, decay in ((False, settings.weight_decay), (True, norm_decay)):
            weights = [p for p in classifier.backbone.parameters() if (id(p) in norms) is taken]
            groups.append({"params": weights, "lr": classifier.cells[0].learning_rate, "weight_decay": decay})
    for cell, head in zip(classifier.cells, classifier.heads, strict=True):
        rate = cell.learning_rate * cell.head_lr_factor
        groups.append({"params": list(head.parameters()), "lr": rate, "weight_decay": settings.weight_decay})
    for group in groups:
        group["base_lr"] = group["lr"]
    groups = [group for group in groups if group["params"]]
    return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.nesterov)


def _head(width: int, classes: int, seed: int) -> nn.Linear:
    head = nn.Linear(width, classes)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        head.weight.normal_(0.0, _INITIAL_STD, generator=generator)
        head.bias.zero_()
    return head


def _stage_maps(backbone: Backbone, images: Tensor, stages: list[str]) -> dict[str, Tensor]:
    """Maps, N x C x h x w; of a vision transformer its output as a map of one cell."""
    if isinstance(backbone, ResNet):
        maps = backbone.stage_features(images)
        return {stage: maps[stage] for stage in stages}
    return {"layer4": backbone(images)[:, :, None, None]}


def _cells_of(stage: str, shapes: dict[str, Tensor], cells: int) -> int:
    """Side of the pooled map: ``cells`` of layer4, elsewhere so that a head sees about as many numbers.

    With 2 and ResNet-50: stem 12, layer1 6, layer2 4, layer3 3, layer4 2 (9,216 or 8,192 numbers).
    """
    if cells == 1:
        return 1
    channels = {"stem": 1 / 32, "layer1": 1 / 8, "layer2": 1 / 4, "layer3": 1 / 2, "layer4": 1.0}
    return min(math.ceil(cells / math.sqrt(channels[stage])), shapes[stage].shape[2])


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm | nn.GroupNorm)
